import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { isZero } from "../../src/io/mod.ts";
import {
  BLOCK_BYTES as B,
  BlockHashes,
  hashBlocks,
  PAGE_BYTES,
  sha256,
} from "../../src/delta/block_hashes.ts";

/** A disk in memory that notes what is read. */
function sourceOf(
  bytes: Uint8Array,
  extents: { offset: number; length: number; isData: boolean }[],
) {
  const reads: [number, number][] = [];
  return {
    reads,
    sizeBytes: bytes.length,
    read: (offset: number, length: number) => {
      reads.push([offset, length]);
      return Promise.resolve(bytes.slice(offset, offset + length));
    },
    extents: (offset: number) =>
      Promise.resolve(extents.filter((e) => e.offset + e.length > offset)),
  };
}

Deno.test("hashBlocks names blocks of zeroes, hashes the others, and reads no holes", async () => {
  const bytes = new Uint8Array(4 * B + 10);
  bytes.fill(1, B, 2 * B);
  bytes[4 * B + 3] = 5;
  const source = sourceOf(bytes, [
    { offset: 0, length: 2 * B, isData: true },
    { offset: 2 * B, length: 2 * B, isData: false },
    { offset: 4 * B, length: 10, isData: true },
  ]);
  const hashes = await hashBlocks(source, { offset: 0, length: bytes.length });
  assertEquals([0, 1, 2, 3, 4].map((i) => hashes.isZero(i)), [true, false, true, true, false]);
  assertEquals(hashes.digest(1), await sha256(bytes.subarray(B, 2 * B)));
  assertEquals(hashes.digest(4), await sha256(bytes.subarray(4 * B)));
  assertEquals(source.reads, [[0, 2 * B], [4 * B, 10]]);
});

Deno.test("the answer of hashBlocks fits into its limits and comes back as it was", async () => {
  const hashes = new BlockHashes(256);
  for (let i = 0; i < 256; i++) hashes.set(i, await sha256(new Uint8Array([i])));
  const answer = hashes.encode();
  assertEquals([answer.zero.length <= 64, answer.digests.length <= 12_000], [true, true]);
  const back = BlockHashes.decode(answer, 256);
  assertEquals([back.isZero(255), back.digest(255)], [false, hashes.digest(255)]);
});

Deno.test("an answer about other blocks than were asked for is refused", () => {
  const { zero, digests } = new BlockHashes(8).encode();
  assertThrows(() => BlockHashes.decode({ zero, digests }, 16), Error, "expected 8");
  assertThrows(
    () => BlockHashes.decode({ zero: "AA==", digests }, 8),
    Error,
    "Got the hashes of 0",
  );
  const one = new Uint8Array(32).toBase64();
  assertThrows(() => BlockHashes.decode({ zero, digests: one }, 8), Error, "Got the hashes of 1");
});

Deno.test("hashBlocks refuses ranges that are no whole blocks of the disk", async () => {
  const source = sourceOf(new Uint8Array(PAGE_BYTES + B), []);
  for (const [offset, length] of [[1, B], [0, 0], [0, PAGE_BYTES + 1], [PAGE_BYTES, 2 * B]]) {
    await assertRejects(() => hashBlocks(source, { offset: offset!, length: length! }), RangeError);
  }
});

Deno.test("isZero sees every byte, wherever the bytes lie in their buffer", () => {
  const all = new Uint8Array(64);
  for (let from = 0; from < 9; from++) {
    const part = all.subarray(from, from + 37);
    assertEquals(isZero(part), true);
    for (let i = 0; i < part.length; i++) {
      part[i] = 1;
      assertEquals(isZero(part), false, `byte ${i} from ${from}`);
      part[i] = 0;
    }
  }
});
