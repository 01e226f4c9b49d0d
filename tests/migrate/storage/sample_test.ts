import { assert, assertEquals } from "@std/assert";
import type { BlockSource } from "../../../src/nbd/mod.ts";
import { equalBlocks, takeSample } from "../../../src/migrate/storage/sample.ts";
import { holds, isWorthAnotherLook, judge } from "../../../src/migrate/storage/verdict.ts";

const BLOCK = 4096;

/** A disk with these blocks of data, whose server reports holes or not. */
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

/** Random numbers that repeat in each run. */
function seeded(): () => number {
  let state = 1;
  return () => (state = (state * 48271) % 0x7fffffff) / 0x7fffffff;
}

const data = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => [from + i, from + i + 1] as const);

Deno.test("a sample has no zero blocks and no two equal blocks", async () => {
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

Deno.test("data on an allocated disk of mostly zeroes is found in a bounded number of reads", async () => {
  const disk = new FakeDisk(100_000, data(40_000, 10_000), false);
  const { offsets } = await takeSample(disk, seeded());
  assert(offsets.length >= 32, `${offsets.length} blocks`);
  const empty = new FakeDisk(100_000, [], false);
  assertEquals((await takeSample(empty, seeded())).offsets, []);
  assert(empty.reads <= 1000, `${empty.reads} reads`);
});

Deno.test("a disk without data or shorter than a block has an empty sample", async () => {
  assertEquals((await takeSample(new FakeDisk(1000, []), seeded())).offsets, []);
  assertEquals((await takeSample(new FakeDisk(0, []), seeded())).offsets, []);
});

Deno.test("only whole blocks are asked for on a disk of any size, as a server may demand", async () => {
  for (const bytes of [5_000_192, 540_672, 8_390_144, (3 << 30) + 512, 5 * 2 ** 40 + 1024, 512]) {
    const asked: number[] = [];
    const disk: BlockSource = {
      sizeBytes: bytes,
      read: (offset, length) => {
        asked.push(offset, length);
        return Promise.resolve(new Uint8Array(length).fill(7));
      },
      extents: (offset, length) => {
        asked.push(offset, length);
        assert(offset + length <= bytes);
        return Promise.resolve([{ offset, length, isData: true }]);
      },
    };
    const { offsets } = await takeSample(disk, seeded());
    assertEquals(asked.filter((value) => value % BLOCK !== 0), [], `${bytes} bytes`);
    assertEquals(offsets.length, bytes < BLOCK ? 0 : 1);
  }
});

Deno.test("a copy has all blocks of a sample, and another disk is read no further than the first few", async () => {
  const blocks = data(0, 500);
  const sample = await takeSample(new FakeDisk(1000, blocks), seeded());
  assertEquals((await equalBlocks(new FakeDisk(1000, blocks), sample)).length, 64);
  const other = new FakeDisk(1000, data(0, 500).map(([b]) => [b, b + 7] as const));
  assertEquals(await equalBlocks(other, sample), []);
  assert(other.reads <= 8, `${other.reads} reads`);
  // A shorter disk is not read past its end.
  assertEquals(await equalBlocks(new FakeDisk(0, []), sample), []);
});

Deno.test("the same storage is found although the guest has written a few blocks meanwhile", () => {
  assertEquals(holds({ equal: 64, total: 64 }), true);
  assertEquals(holds({ equal: 59, total: 64 }), true);
  assertEquals(holds({ equal: 40, total: 64 }), false);
  assertEquals(isWorthAnotherLook({ equal: 40, total: 64 }), true);
  assertEquals(isWorthAnotherLook({ equal: 2, total: 64 }), false);
  // A disk with nothing but a partition table can be lost too.
  assertEquals(holds({ equal: 1, total: 1 }), true);
  assertEquals(holds({ equal: 0, total: 0 }), false);
});

const copy = (source: string, destination: string, equal = 64) => ({
  ...{ source, destination, equal, total: 64 },
});
const known = { reuse: [], shared: [], implied: [], overwritten: [] };

Deno.test("a disk with the source's data is refused without --shared or --reuse", () => {
  const { problems } = judge([copy("vd0", "vd0"), copy("vd1", "vd1", 3)], known);
  assertEquals(problems.length, 1);
  assert(/--reuse vd0; .*--shared vd0/.test(problems[0]!));
  assertEquals(judge([copy("vd0", "vd0")], { ...known, reuse: ["vd0"] }).problems, []);
  assertEquals(judge([copy("vd0", "vd0")], { ...known, shared: ["vd0"] }).problems, []);
});

Deno.test("a disk with the data of another disk of the source is refused", () => {
  const { problems } = judge([copy("vd0", "vd1")], known);
  assert(/disk vd1 has the data .*disk vd0/.test(problems[0]!));
});

Deno.test("a disk that was overwritten since its QEMU started is accepted", () => {
  assertEquals(judge([copy("vd0", "vd0")], { ...known, overwritten: ["vd0"] }).problems, []);
});

Deno.test("a disk of --shared with other data causes a warning", () => {
  const shared = { ...known, shared: ["vd0"] };
  assertEquals(judge([copy("vd0", "vd0", 10)], shared).warnings.length, 1);
  assertEquals(judge([copy("vd0", "vd0")], shared).warnings, []);
});

Deno.test("a disk that stays because other guests may use it is refused with other data", () => {
  const implied = { ...known, shared: ["vd0"], implied: ["vd0"] };
  const { problems, warnings } = judge([copy("vd0", "vd0", 10)], implied);
  assertEquals([problems.length, warnings], [1, []]);
  assert(/share-rw=on.* only 10 of 64 blocks.* --disk at both ends, vd0/.test(problems[0]!));
  assertEquals(judge([copy("vd0", "vd0")], implied), { problems: [], warnings: [] });
});
