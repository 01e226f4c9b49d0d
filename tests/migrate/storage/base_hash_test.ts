import { assertEquals, assertNotEquals } from "@std/assert";
import { hashRange } from "../../../src/migrate/storage/base_hash.ts";
import type { BlockSource } from "../../../src/nbd/mod.ts";

const MiB = 1 << 20;

/** A disk in memory. Its extents are pieces of at most `piece` bytes; zeroes are holes if `sparse`. */
function disk(bytes: Uint8Array, { sparse = false, piece = bytes.length } = {}) {
  const reads: number[] = [];
  const source: BlockSource = {
    sizeBytes: bytes.length,
    read: (offset, length) => {
      reads.push(offset);
      return Promise.resolve(bytes.slice(offset, offset + length));
    },
    extents: (offset, wanted) => {
      const length = Math.min(piece, wanted);
      const isData = !sparse || bytes.subarray(offset, offset + length).some((b) => b !== 0);
      return Promise.resolve([{ offset, length, isData }]);
    },
  };
  return { source, reads };
}

function content(): Uint8Array {
  const bytes = new Uint8Array(4 * MiB + 700);
  bytes.fill(7, MiB + 5, MiB + 6);
  bytes.fill(9, 4 * MiB + 690);
  return bytes;
}

Deno.test("the layout of an image's holes does not change the hash of a range, and holes are not read", async () => {
  const range = { offset: 0, length: 8 * MiB };
  const whole = disk(content());
  const sparse = disk(content(), { sparse: true, piece: 65536 });
  assertEquals(await hashRange(whole.source, range), await hashRange(sparse.source, range));
  assertEquals([whole.reads.length, sparse.reads], [5, [MiB, 4 * MiB]]);
});

Deno.test("one other byte, the same bytes elsewhere, and a longer file change the hash", async () => {
  const range = { offset: 0, length: 8 * MiB };
  const own = await hashRange(disk(content()).source, range);
  const last = content();
  last[last.length - 1] = 8;
  const moved = content();
  moved.copyWithin(2 * MiB, MiB, 2 * MiB).fill(0, MiB, 2 * MiB);
  const longer = new Uint8Array(4 * MiB + 701);
  longer.set(content());
  for (const other of [last, moved, longer]) {
    assertNotEquals(await hashRange(disk(other).source, range), own);
  }
});

Deno.test("a range has the hash of its own bytes alone", async () => {
  const range = { offset: MiB, length: 2 * MiB };
  const own = await hashRange(disk(content()).source, range);
  const other = content();
  other.fill(1, 0, MiB).fill(1, 3 * MiB);
  assertEquals(await hashRange(disk(other).source, range), own);
});
