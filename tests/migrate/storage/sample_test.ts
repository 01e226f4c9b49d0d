import { assert, assertEquals } from "@std/assert";
import { type BlockSource, equalBlocks, takeSample } from "../../../src/migrate/storage/sample.ts";
import { holds, isWorthAnotherLook, judge } from "../../../src/migrate/storage/verdict.ts";

const BLOCK = 4096;

/** A disk with these blocks of data, whose server tells holes from data or not. */
class FakeDisk implements BlockSource {
  readonly sizeBytes: number;
  reads = 0;
  readonly #blocks: ReadonlyMap<number, number>;
  readonly #tells: boolean;
  constructor(blocks: number, data: Iterable<readonly [number, number]>, tells = true) {
    this.sizeBytes = blocks * BLOCK;
    this.#blocks = new Map(data);
    this.#tells = tells;
  }
  read(offset: number, length: number): Promise<Uint8Array> {
    this.reads++;
    const bytes = new Uint8Array(length);
    const value = this.#blocks.get(offset / BLOCK) ?? 0;
    new DataView(bytes.buffer).setUint32(64, value);
    return Promise.resolve(bytes);
  }
  extents(offset: number, length: number) {
    if (!this.#tells) return Promise.resolve([{ offset, length, isData: true }]);
    return Promise.resolve(
      [...this.#blocks.keys()].map((block) => block * BLOCK)
        .filter((at) => at >= offset && at < offset + length)
        .map((at) => ({ offset: at, length: BLOCK, isData: true })),
    );
  }
}

/** The same numbers each time. */
function seeded(): () => number {
  let state = 1;
  return () => (state = (state * 48271) % 0x7fffffff) / 0x7fffffff;
}

const data = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => [from + i, from + i + 1] as const);

Deno.test("a sample is of data, without zeroes and without blocks that are alike", async () => {
  const disk = new FakeDisk(1 << 20, [
    ...data(5000, 100),
    [7, 0],
    ...[8, 9].map((b) => [b, 1] as const),
  ]);
  const { offsets, hashes } = await takeSample(disk, seeded());
  assertEquals([offsets.length, new Set(hashes).size, new Set(offsets).size], [64, 64, 64]);
  for (const offset of offsets) assert(offset !== 7 * BLOCK && offset % BLOCK === 0);
  assert(disk.reads < 300, `${disk.reads} reads`);
});

Deno.test("data is found on a disk that is allocated and mostly zeroes, in a bounded number of reads", async () => {
  const disk = new FakeDisk(100_000, data(40_000, 10_000), false);
  const { offsets } = await takeSample(disk, seeded());
  assert(offsets.length >= 32, `${offsets.length} blocks`);
  const empty = new FakeDisk(100_000, [], false);
  assertEquals((await takeSample(empty, seeded())).offsets, []);
  assert(empty.reads <= 1000, `${empty.reads} reads`);
});

Deno.test("a disk without data and one shorter than a block have no sample", async () => {
  assertEquals((await takeSample(new FakeDisk(1000, []), seeded())).offsets, []);
  assertEquals((await takeSample(new FakeDisk(0, []), seeded())).offsets, []);
});

Deno.test("a copy has all of the blocks, another disk is given up after a few", async () => {
  const blocks = data(0, 500);
  const sample = await takeSample(new FakeDisk(1000, blocks), seeded());
  assertEquals((await equalBlocks(new FakeDisk(1000, blocks), sample)).length, 64);
  const other = new FakeDisk(1000, data(0, 500).map(([b]) => [b, b + 7] as const));
  assertEquals(await equalBlocks(other, sample), []);
  assert(other.reads <= 8, `${other.reads} reads`);
  // One that is shorter than the source's is read no further than it goes.
  assertEquals(await equalBlocks(new FakeDisk(0, []), sample), []);
});

Deno.test("a few blocks that the guest has written meanwhile do not hide the same storage", () => {
  assertEquals(holds({ equal: 64, total: 64 }), true);
  assertEquals(holds({ equal: 59, total: 64 }), true);
  assertEquals(holds({ equal: 40, total: 64 }), false);
  assertEquals(isWorthAnotherLook({ equal: 40, total: 64 }), true);
  assertEquals(isWorthAnotherLook({ equal: 2, total: 64 }), false);
  // A disk that has only a partition table can be lost as any other.
  assertEquals(holds({ equal: 1, total: 1 }), true);
  assertEquals(holds({ equal: 0, total: 0 }), false);
});

const copy = (source: string, destination: string, equal = 64) => ({
  ...{ source, destination, equal, total: 64 },
});
const known = { reuse: [], shared: [], overwritten: [] };

Deno.test("a disk that holds the source's is refused until its user says what it is", () => {
  const { problems } = judge([copy("vd0", "vd0"), copy("vd1", "vd1", 3)], known);
  assertEquals(problems.length, 1);
  assert(/--reuse vd0 .* --shared vd0/.test(problems[0]!));
  assertEquals(judge([copy("vd0", "vd0")], { ...known, reuse: ["vd0"] }).problems, []);
  assertEquals(judge([copy("vd0", "vd0")], { ...known, shared: ["vd0"] }).problems, []);
});

Deno.test("a disk that holds another disk of the source's is refused, too", () => {
  const { problems } = judge([copy("vd0", "vd1")], known);
  assert(/disk vd1 holds .*disk vd0/.test(problems[0]!));
});

Deno.test("a disk that was copied to since its QEMU runs is not the source's", () => {
  assertEquals(judge([copy("vd0", "vd0")], { ...known, overwritten: ["vd0"] }).problems, []);
});

Deno.test("a disk that is called shared and holds something else is warned of", () => {
  const shared = { ...known, shared: ["vd0"] };
  assertEquals(judge([copy("vd0", "vd0", 10)], shared).warnings.length, 1);
  assertEquals(judge([copy("vd0", "vd0")], shared).warnings, []);
});
