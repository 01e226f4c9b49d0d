/**
 * The hashes of the blocks in a range of a disk, and how they cross.
 *
 * @module
 */
import { isZero } from "../io/mod.ts";
import type { Params, Result } from "../rpc/mod.ts";
import type { BlockSource } from "../nbd/mod.ts";

/** Size of a block, bytes. Both ends must have the same: it is part of the protocol. */
export const BLOCK_BYTES = 1 << 16;
/** Most blocks in one answer: a page. */
export const PAGE_BLOCKS = 256;
/** Bytes of a page. */
export const PAGE_BYTES: number = PAGE_BLOCKS * BLOCK_BYTES;
/** Bytes of a SHA-256. */
const DIGEST_BYTES = 32;
/** One read, bytes; and how many are under way at a time. */
const READ_BYTES = 1 << 20;
const AT_ONCE = 4;

/** A range of a disk, bytes; it begins at a whole block. */
export interface Range {
  /** Where it begins. */
  readonly offset: number;
  /** How long it is. */
  readonly length: number;
}

/** What the blocks of a range hold, in order; the last one of a disk may be shorter. */
export class BlockHashes {
  /** A bit a block, the lowest bit first: it is all zeroes. */
  readonly #zero: Uint8Array;
  /** The SHA-256 of each block; of a block of zeroes it means nothing. */
  readonly #digests: Uint8Array;

  /** All zeroes until {@link set}. */
  constructor(blocks: number) {
    this.#zero = new Uint8Array(Math.ceil(blocks / 8)).fill(0xff);
    this.#digests = new Uint8Array(blocks * DIGEST_BYTES);
  }

  /** Number of blocks. */
  get blocks(): number {
    return this.#digests.length / DIGEST_BYTES;
  }

  /** The block holds something other than zeroes. */
  set(block: number, digest: Uint8Array): void {
    this.#zero[block >> 3]! &= ~(1 << (block & 7));
    this.#digests.set(digest, block * DIGEST_BYTES);
  }

  /** The block is all zeroes. */
  isZero(block: number): boolean {
    return (this.#zero[block >> 3]! & (1 << (block & 7))) !== 0;
  }

  /** The SHA-256 of a block that is not all zeroes. */
  digest(block: number): Uint8Array {
    return this.#digests.subarray(block * DIGEST_BYTES, (block + 1) * DIGEST_BYTES);
  }

  /** Takes over what another range has in one of its blocks. */
  copy(block: number, from: BlockHashes, at: number): void {
    if (!from.isZero(at)) return this.set(block, from.digest(at));
    this.#zero[block >> 3]! |= 1 << (block & 7);
    this.#digests.fill(0, block * DIGEST_BYTES, (block + 1) * DIGEST_BYTES);
  }

  /** Whether a block holds the same as a block of another range. */
  equals(block: number, other: BlockHashes, at: number): boolean {
    const zero = this.isZero(block);
    if (zero || other.isZero(at)) return zero === other.isZero(at);
    return sameDigest(this.digest(block), other.digest(at));
  }

  /** As an answer of `hashBlocks`. */
  encode(): Result<"hashBlocks"> {
    const digests: Uint8Array[] = [];
    for (let i = 0; i < this.blocks; i++) if (!this.isZero(i)) digests.push(this.digest(i));
    return { zero: this.#zero.toBase64(), digests: concat(digests).toBase64() };
  }

  /**
   * The hashes in an answer.
   *
   * @param blocks how many were asked for.
   * @throws {Error} when the answer is not about as many blocks.
   */
  static decode(answer: Result<"hashBlocks">, blocks: number): BlockHashes {
    const zero = Uint8Array.fromBase64(answer.zero);
    const digests = Uint8Array.fromBase64(answer.digests);
    const hashes = new BlockHashes(blocks);
    let at = 0;
    for (let i = 0; i < blocks; i++) {
      if (((zero[i >> 3] ?? 0) & (1 << (i & 7))) !== 0) continue;
      if (at + DIGEST_BYTES <= digests.length) {
        hashes.set(i, digests.subarray(at, at + DIGEST_BYTES));
      }
      at += DIGEST_BYTES;
    }
    if (at !== digests.length || zero.length !== Math.ceil(blocks / 8)) {
      throw new Error(
        `Got the hashes of ${digests.length / DIGEST_BYTES} blocks, expected ${at / DIGEST_BYTES}`,
      );
    }
    return hashes;
  }
}

/**
 * Hashes each block of a range. Holes are not read.
 *
 * @throws {RangeError} when the range is not in `source`, or longer than a page.
 * @throws whatever `source` throws.
 */
export async function hashBlocks(source: BlockSource, range: Range): Promise<BlockHashes> {
  const { offset, length } = range;
  const end = offset + length;
  if (offset % BLOCK_BYTES !== 0 || length < 1 || length > PAGE_BYTES || end > source.sizeBytes) {
    throw new RangeError(
      `Got ${length} bytes at ${offset}, expected whole blocks of a disk of ${source.sizeBytes} ` +
        `bytes, ${PAGE_BYTES} bytes at most`,
    );
  }
  const hashes = new BlockHashes(Math.ceil(length / BLOCK_BYTES));
  const pieces = await piecesWithData(source, range);
  let next = 0;
  const worker = async () => {
    for (let piece; (piece = pieces[next++]);) {
      const data = await source.read(piece.offset, piece.length);
      const first = (piece.offset - offset) / BLOCK_BYTES;
      const hashed: Promise<void>[] = [];
      for (let at = 0; at < data.length; at += BLOCK_BYTES) {
        const block = data.subarray(at, at + BLOCK_BYTES);
        if (isZero(block)) continue;
        hashed.push(sha256(block).then((digest) => hashes.set(first + at / BLOCK_BYTES, digest)));
      }
      // All at once: each takes a turn of a thread, for which it would wait on a busy machine.
      await Promise.all(hashed);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return hashes;
}

/** Whether two SHA-256 are the same. */
export function sameDigest(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

/** The SHA-256 of some bytes, computed beside the calling thread. */
export async function sha256(data: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data as Uint8Array<ArrayBuffer>));
}

/** Pieces of whole blocks that may hold something other than zeroes. */
async function piecesWithData(source: BlockSource, { offset, length }: Range): Promise<Range[]> {
  const end = offset + length;
  const hasData = new Uint8Array(Math.ceil(length / BLOCK_BYTES));
  for (let at = offset; at < end;) {
    const extents = await source.extents(at, end - at);
    // A server that says nothing may have data anywhere.
    const said = extents.length > 0 ? extents : [{ offset: at, length: end - at, isData: true }];
    for (const extent of said) {
      if (!extent.isData || extent.length === 0) continue;
      const first = Math.floor((extent.offset - offset) / BLOCK_BYTES);
      const behind = Math.ceil((extent.offset + extent.length - offset) / BLOCK_BYTES);
      hasData.fill(1, first, behind);
    }
    at = Math.max(at + 1, ...said.map((extent) => extent.offset + extent.length));
  }
  const pieces: Range[] = [];
  for (let i = 0; i < hasData.length;) {
    if (!hasData[i]) {
      i++;
      continue;
    }
    let behind = i;
    while (hasData[behind] && (behind - i) * BLOCK_BYTES < READ_BYTES) behind++;
    const from = offset + i * BLOCK_BYTES;
    pieces.push({ offset: from, length: Math.min(end, offset + behind * BLOCK_BYTES) - from });
    i = behind;
  }
  return pieces;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** What a source asks for: `hashBlocks` of its destination. */
export type AskHashes = (
  params: Pick<Params<"hashBlocks">, "offset" | "length">,
) => Promise<Result<"hashBlocks">>;
