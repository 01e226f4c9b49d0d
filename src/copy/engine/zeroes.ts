/**
 * Runs of data between zeroes. Pure.
 *
 * @module
 */
import type { ByteRange } from "../../nbd/mod.ts";
import { isZero } from "../../io/mod.ts";

/** Zeroes are found in blocks of this size, aligned in the image: a cluster of qcow2. */
export const ZERO_BLOCK: number = 64 * 1024;

/** A piece of an image without its zeroes. */
export interface Runs {
  /** Blocks with data, consecutive ones joined; offsets in the image. */
  readonly data: readonly ByteRange[];
  /** Blocks of zeroes, the same way. */
  readonly zeroes: readonly ByteRange[];
}

/**
 * Splits a piece of an image into data and zeroes.
 *
 * @param offset where the piece begins in the image.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = new Uint8Array(3 * ZERO_BLOCK);
 * bytes[ZERO_BLOCK + 5] = 1;
 * assertEquals(runsOf(bytes, 0).data, [{ offset: ZERO_BLOCK, length: ZERO_BLOCK }]);
 * ```
 */
export function runsOf(bytes: Uint8Array, offset: number): Runs {
  const data: { offset: number; length: number }[] = [];
  const zeroes: { offset: number; length: number }[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Math.min(ZERO_BLOCK - (offset + at) % ZERO_BLOCK, bytes.length - at);
    const list = isZero(bytes.subarray(at, at + length)) ? zeroes : data;
    const last = list.at(-1);
    if (last && last.offset + last.length === offset + at) last.length += length;
    else list.push({ offset: offset + at, length });
    at += length;
  }
  return { data, zeroes };
}
