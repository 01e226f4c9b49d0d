/**
 * The hash of a range of a backing file, the same for every layout of its holes.
 *
 * @module
 */
import { isZero } from "../../io/mod.ts";
import type { BlockSource } from "../../nbd/mod.ts";

/** Size of a block, bytes. Both ends must have the same: it is part of the protocol. */
const BLOCK_BYTES = 1 << 20;
/** Most blocks that are read at once. */
const AT_ONCE = 8;

/** A range, bytes. */
export interface Range {
  readonly offset: number;
  readonly length: number;
}

/**
 * Hashes a range: SHA-256 over the index (64 bits, big endian) and the SHA-256 of each block of 1 MiB that
 * is not all zeroes. Holes are not read.
 *
 * @param range begins at a whole block; the part behind the end of `source` counts as zeroes.
 * @returns 64 hexadecimal digits.
 * @throws whatever `source` throws.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { hashRange } from "./base_hash.ts";
 *
 * const zeroes = {
 *   sizeBytes: 8192,
 *   read: (_: number, length: number) => Promise.resolve(new Uint8Array(length)),
 *   extents: (offset: number, length: number) =>
 *     Promise.resolve([{ offset, length, isData: true }]),
 * };
 * const hole = { ...zeroes, extents: () => Promise.resolve([]), sizeBytes: 0 };
 * const range = { offset: 0, length: 8192 };
 * assertEquals(await hashRange(zeroes, range), await hashRange(hole, range));
 * ```
 */
export async function hashRange(source: BlockSource, range: Range): Promise<string> {
  const end = Math.min(range.offset + range.length, source.sizeBytes);
  const blocks = [...await blocksWithData(source, range.offset, end)];
  const digests: (Uint8Array | undefined)[] = [];
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < blocks.length; i = next++) {
      const at = blocks[i]! * BLOCK_BYTES;
      const data = await source.read(at, Math.min(BLOCK_BYTES, end - at));
      digests[i] = isZero(data) ? undefined : await sha256(data);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const all = new Uint8Array(blocks.length * 40);
  const numbers = new DataView(all.buffer);
  let length = 0;
  for (const [i, digest] of digests.entries()) {
    if (!digest) continue;
    numbers.setBigUint64(length, BigInt(blocks[i]!));
    all.set(digest, length + 8);
    length += 40;
  }
  return (await sha256(all.subarray(0, length))).toHex();
}

/** Indexes of the blocks that may hold something other than zeroes, in order. */
async function blocksWithData(
  source: BlockSource,
  from: number,
  end: number,
): Promise<Set<number>> {
  const found = new Set<number>();
  for (let at = from; at < end;) {
    // NBD has lengths of 32 bits.
    const length = Math.min(end - at, 1 << 30);
    const extents = await source.extents(at, length);
    // A server that says nothing may have data anywhere.
    const said = extents.length > 0 ? extents : [{ offset: at, length, isData: true }];
    for (const { offset, length, isData } of said) {
      if (!isData || length === 0) continue;
      const last = Math.floor((offset + length - 1) / BLOCK_BYTES);
      for (let i = Math.floor(offset / BLOCK_BYTES); i <= last; i++) found.add(i);
    }
    at = Math.max(at + 1, ...said.map(({ offset, length }) => offset + length));
  }
  return found;
}

async function sha256(data: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data as Uint8Array<ArrayBuffer>));
}
