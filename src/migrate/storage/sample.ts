/**
 * Samples that tell one disk from another: hashes of blocks picked at random from its data.
 *
 * @module
 */
import type { BlockSource, Extent } from "../../nbd/mod.ts";

/** Size of a block, bytes. */
export const BLOCK_BYTES = 4096;
/** Most blocks of a sample. */
const WANTED = 64;
/** Most blocks that are read for a sample, such as from a disk that is allocated and mostly empty. */
const MOST_READS = 768;
/** Number of windows of a disk that are searched for data, and the largest size of one, bytes. */
const WINDOWS = 64;
const WINDOW_BYTES = 1 << 30;
/** Number of windows that are searched where the first ones have no data. */
const MOST_WINDOWS = 4096;
/** Most requests in flight. */
const AT_ONCE = 16;
/** How far from a block with data the next one is picked, blocks. */
const NEAR = 256;

/** Blocks in no particular order, with their hashes. */
export interface Sample {
  /** Bytes from the start of the disk; multiples of {@link BLOCK_BYTES}. */
  readonly offsets: readonly number[];
  /** The first 16 bytes of SHA-256, in hex; one for each offset. */
  readonly hashes: readonly string[];
}

/** A number from 0 to below 1. */
export type Random = () => number;

/**
 * Takes a sample of up to 64 blocks: none is all zeroes, and no two are equal.
 *
 * @param random picks the blocks.
 * @throws whatever `source` throws.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { BLOCK_BYTES, takeSample } from "./sample.ts";
 *
 * const disk = new Uint8Array(4 * BLOCK_BYTES).fill(7, 0, BLOCK_BYTES);
 * const { offsets } = await takeSample({
 *   sizeBytes: disk.length,
 *   read: (offset, length) => Promise.resolve(disk.slice(offset, offset + length)),
 *   extents: (offset, length) => Promise.resolve([{ offset, length, isData: true }]),
 * }, Math.random);
 * assertEquals(offsets, [0]);
 * ```
 */
export async function takeSample(source: BlockSource, random: Random): Promise<Sample> {
  const extents = await dataExtents(source, random);
  const blocks = new BlockPicker(extents, Math.floor(source.sizeBytes / BLOCK_BYTES), random);
  const found = new Map<string, number>();
  for (let reads = 0; found.size < WANTED && reads < MOST_READS;) {
    const batch = blocks.next(WANTED, [...found.values()]);
    if (batch.length === 0) break;
    reads += batch.length;
    const hashes = await hashBlocks(source, batch);
    for (const [i, hash] of hashes.entries()) {
      if (hash !== undefined && found.size < WANTED && !found.has(hash)) found.set(hash, batch[i]!);
    }
  }
  return { offsets: [...found.values()], hashes: [...found.keys()] };
}

/** Hashes of the blocks at these offsets; `undefined` for a block of zeroes or past the end. */
export async function hashBlocks(
  source: BlockSource,
  offsets: readonly number[],
): Promise<(string | undefined)[]> {
  return await eachOf(offsets, async (offset) => {
    if (offset + BLOCK_BYTES > source.sizeBytes) return undefined;
    const block = await source.read(offset, BLOCK_BYTES);
    return block.every((byte) => byte === 0) ? undefined : await hashOf(block);
  });
}

/**
 * The indexes of the sample's blocks that a disk has at the same offsets. A disk that has none of the first
 * few is another disk, and the rest is not read.
 */
export async function equalBlocks(source: BlockSource, sample: Sample): Promise<number[]> {
  const equal: number[] = [];
  const { offsets, hashes } = sample;
  for (let at = 0; at < offsets.length;) {
    const end = at === 0 ? Math.min(FIRST, offsets.length) : offsets.length;
    const found = await hashBlocks(source, offsets.slice(at, end));
    for (const [i, hash] of found.entries()) if (hash === hashes[at + i]) equal.push(at + i);
    if (equal.length === 0) break;
    at = end;
  }
  return equal;
}

/** Number of blocks after which a disk that has none of them counts as another disk. */
const FIRST = 8;

/** Extents with data, found by a bounded number of requests: whole blocks, as an NBD server may demand. */
async function dataExtents(source: BlockSource, random: Random): Promise<Extent[]> {
  const sizeBytes = wholeBlocks(source.sizeBytes);
  const stride = wholeBlocks(Math.ceil(sizeBytes / WINDOWS) + BLOCK_BYTES - 1);
  const windows: [number, number][] = [];
  for (let at = 0; at < sizeBytes; at += stride) {
    const whole = Math.min(stride, sizeBytes - at);
    const length = Math.min(whole, WINDOW_BYTES);
    // The first blocks of a disk are the most likely to be in use.
    const shift = at === 0 ? 0 : wholeBlocks(random() * (whole - length));
    windows.push([at + shift, length]);
  }
  const found = await dataIn(source, windows);
  if (found.length > 0 || stride <= WINDOW_BYTES) return found;
  const all: [number, number][] = [];
  for (let at = 0; at < sizeBytes && all.length < MOST_WINDOWS; at += WINDOW_BYTES) {
    all.push([at, Math.min(WINDOW_BYTES, sizeBytes - at)]);
  }
  return await dataIn(source, all);
}

/** `bytes`, rounded down to a multiple of {@link BLOCK_BYTES}. */
function wholeBlocks(bytes: number): number {
  return Math.floor(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}

async function dataIn(
  source: BlockSource,
  windows: readonly (readonly [number, number])[],
): Promise<Extent[]> {
  const found = await eachOf(windows, ([offset, length]) => source.extents(offset, length));
  return found.flat().filter((extent) => extent.isData);
}

/** Picks blocks of the data, none twice: the first block, then at random, then near blocks with data. */
class BlockPicker {
  readonly #extents: readonly Extent[];
  readonly #ends: readonly number[];
  readonly #blocks: number;
  readonly #random: Random;
  readonly #seen = new Set<number>();
  #rounds = 0;

  constructor(extents: readonly Extent[], blocks: number, random: Random) {
    this.#extents = extents;
    let sum = 0;
    this.#ends = extents.map(({ length }) => sum += length);
    this.#blocks = blocks;
    this.#random = random;
  }

  /** Offsets of up to `count` blocks; `found` has the offsets of blocks that were not zeroes. */
  next(count: number, found: readonly number[]): number[] {
    const picked: number[] = [];
    const isFirst = this.#rounds++ === 0;
    if (this.#extents.length === 0) return picked;
    if (isFirst) this.#take(0, picked);
    for (let tries = 0; picked.length < count && tries < count * 8; tries++) {
      const near = !isFirst && found.length > 0 && this.#rounds > 3 && tries % 2 === 0;
      const base = near
        ? found[Math.floor(this.#random() * found.length)]! / BLOCK_BYTES
        : this.#anywhere();
      this.#take(near ? base + Math.floor((this.#random() * 2 - 1) * NEAR) : base, picked);
    }
    return picked;
  }

  #anywhere(): number {
    const at = this.#random() * (this.#ends.at(-1) ?? 0);
    const i = this.#ends.findIndex((end) => at < end);
    const extent = this.#extents[i < 0 ? this.#extents.length - 1 : i]!;
    return Math.floor((extent.offset + this.#random() * extent.length) / BLOCK_BYTES);
  }

  #take(block: number, picked: number[]): void {
    if (block < 0 || block >= this.#blocks || this.#seen.has(block)) return;
    this.#seen.add(block);
    picked.push(block * BLOCK_BYTES);
  }
}

async function hashOf(block: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(block)));
  return [...digest.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Runs `work` on a few items at a time; the results are in order. */
async function eachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  return results;
}
