import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { Bounded } from "../../../src/cli/report/bounded.ts";
import { Samples } from "../../../src/cli/report/samples.ts";

const NOTHING = { wireBytes: null, rate: null, rttMs: null, ram: null, disks: [] } as const;
const HOUR_MS = 3_600_000;

Deno.test("samples of a day are thinned, evenly, from its first to its last moment", () => {
  const samples = new Samples();
  for (let atMs = 0; atMs <= 24 * HOUR_MS; atMs += 500) {
    samples.add({ ...NOTHING, atMs, wireBytes: atMs });
  }
  samples.add({ ...NOTHING, atMs: 24 * HOUR_MS + 1, wireBytes: 7 }, true);
  const { atMs, wireBytes } = samples.columns();
  assertLessOrEqual(atMs.length, 1200);
  assert(atMs.length > 500, `only ${atMs.length} are left`);
  assertEquals([atMs[0], atMs.at(-1), wireBytes.at(-1)], [0, 24 * HOUR_MS + 1, 7]);
  const gaps = atMs.slice(1, -1).map((at, i) => at - atMs[i]!);
  assertLessOrEqual(Math.max(...gaps), 4 * Math.min(...gaps));
});

Deno.test("many disks shorten the list of samples, and the first 64 have a curve", () => {
  const samples = new Samples();
  const disks = Array.from({ length: 1000 }, (_, i) => ({
    ...{ name: `vd${i}`, transferred: 1, total: 3, ready: false },
  }));
  for (let i = 0; i < 3000; i++) samples.add({ ...NOTHING, atMs: i * 500, disks });
  const columns = samples.columns();
  assertEquals(columns.disks.length, 64);
  assertEquals([columns.disks[63]!.name, columns.disks[0]!.percent[0]], ["vd63", 33.3]);
  assertLessOrEqual(columns.atMs.length * 71, 60_000 + 71);
});

Deno.test("samples that are too close are left out, but not the last one", () => {
  const samples = new Samples();
  for (const atMs of [0, 100, 200, 500]) samples.add({ ...NOTHING, atMs });
  samples.add({ ...NOTHING, atMs: 501 }, true);
  assertEquals(samples.columns().atMs, [0, 500, 501]);
});

Deno.test("a disk that comes later has no value before", () => {
  const samples = new Samples();
  const disk = { name: "vda", transferred: 1, total: 2, ready: false };
  samples.add({ ...NOTHING, atMs: 0 });
  samples.add({ ...NOTHING, atMs: 1000, disks: [disk] });
  samples.add({ ...NOTHING, atMs: 2000 });
  assertEquals(samples.columns().disks, [{ name: "vda", percent: [null, 50, null] }]);
});

Deno.test("a bounded list keeps its beginning and its end, and counts the rest", () => {
  const list = new Bounded<number>(4);
  for (let i = 0; i < 10; i++) list.add(i);
  assertEquals([list.items, list.dropped], [[0, 1, 8, 9], 6]);
});
