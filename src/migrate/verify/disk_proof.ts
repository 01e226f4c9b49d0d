import {
  BLOCK_BYTES,
  type BlockHashes,
  BlockSet,
  PAGE_BLOCKS,
  pageDigest,
  type Range,
  RootHash,
} from "../../delta/mod.ts";
import type { PageHashes } from "./page_hashes.ts";

/** Blocks that are read along between two open ones, rather than with a request for each. */
const MOST_GAP = 8;
/** So many open blocks of a page, and all of the page is compared: its digest is known then. */
const WHOLE_FROM = 64;
/** Most blocks whose differences are counted. */
const MOST_DIFFERING = 65_536;

/** Consecutive blocks of one page that are being compared. */
export interface Piece {
  readonly first: number;
  readonly behind: number;
  /** The same in bytes. */
  readonly range: Range;
  /** Those that were open. */
  readonly open: readonly number[];
}

/**
 * What is proved of one disk. A block is proved when both ends held the same in it at some moment, and no
 * write to it has passed the filter since that moment began. The others are open.
 */
export class DiskProof {
  /** Of the disk, as the user knows it. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Number of blocks of the disk; the last one may be shorter. */
  readonly blocks: number;
  /** Bytes that were compared, repeated comparisons included. */
  comparedBytes = 0;
  readonly #open: BlockSet;
  /** How many of the blocks that are being compared were open. */
  #underWay = 0;
  /** Blocks that differed, and how often in a row without a write between. */
  readonly #differing = new Map<number, number>();
  /** Blocks that the mirror has discarded at the destination: what they hold there is not defined. */
  #trimmed: BlockSet | undefined;
  readonly #pages: PageHashes;
  readonly #root: RootHash;
  /** The digests that are being computed; a page that changes meanwhile is taken out. */
  readonly #digesting = new Map<number, Promise<Uint8Array>>();

  /** Every block is open. */
  constructor(disk: { readonly name: string; readonly sizeBytes: number }, pages: PageHashes) {
    this.name = disk.name;
    this.sizeBytes = disk.sizeBytes;
    this.blocks = Math.ceil(disk.sizeBytes / BLOCK_BYTES);
    this.#open = new BlockSet(this.blocks, { full: true });
    this.#root = new RootHash(disk.sizeBytes);
    this.#pages = pages;
  }

  /** Number of blocks that are not proved, but for those that are being compared. */
  get open(): number {
    return this.#open.size;
  }

  /** Number of blocks that are proved. A block that was written while it is compared counts twice. */
  get proved(): number {
    return Math.max(0, this.blocks - this.#open.size - this.#underWay);
  }

  /** Open blocks that differed twice or more in a row, the most often first. */
  get suspects(): number[] {
    return [...this.#differing].filter(([, times]) => times > 1)
      .sort(([, a], [, b]) => b - a).map(([block]) => block);
  }

  /**
   * A write, or zeroes, to these bytes is about to be sent, or its outcome is known. Both count: a comparison
   * between the two may have seen either content.
   */
  changed({ offset, length }: Range): void {
    if (length <= 0) return;
    const first = Math.floor(offset / BLOCK_BYTES);
    const behind = Math.min(Math.ceil((offset + length) / BLOCK_BYTES), this.blocks);
    this.#open.addAll(first, behind);
    if (this.#differing.size > 0) {
      for (let block = first; block < behind; block++) this.#differing.delete(block);
    }
    const last = Math.floor((behind - 1) / PAGE_BLOCKS);
    for (let page = Math.floor(first / PAGE_BLOCKS); page <= last; page++) {
      this.#forget(page);
    }
  }

  /** As {@link changed}, for a discard. */
  trimmed(range: Range): void {
    this.#trimmed ??= new BlockSet(this.blocks);
    const { offset, length } = range;
    const behind = Math.min(Math.ceil((offset + length) / BLOCK_BYTES), this.blocks);
    this.#trimmed.addAll(Math.floor(offset / BLOCK_BYTES), behind);
    this.changed(range);
  }

  /** The content of a block is defined at both ends: a difference in it is a fault. */
  isDefined(block: number): boolean {
    return !this.#trimmed?.has(block);
  }

  /**
   * Takes open blocks from `block` on to compare them; `undefined` where none is open. Go on behind the piece:
   * no block may be in two pieces at a time, because the older of two comparisons may end last.
   */
  take(block: number): Piece | undefined {
    const first = this.#open.next(block);
    if (first === undefined) return undefined;
    const page = Math.floor(first / PAGE_BLOCKS);
    const begin = page * PAGE_BLOCKS;
    const end = begin + this.#root.blocksOf(page);
    const open: number[] = [];
    for (let at = this.#open.next(begin); at !== undefined && at < end;) {
      open.push(at);
      at = this.#open.next(at + 1);
    }
    if (open.length >= WHOLE_FROM && block <= begin) return this.#taken(begin, end, open);
    const near = open.filter((each) => each >= first);
    const gap = near.findIndex((each, i) => i > 0 && each - near[i - 1]! > MOST_GAP);
    const run = gap < 0 ? near : near.slice(0, gap);
    return this.#taken(first, run.at(-1)! + 1, run);
  }

  /** The bytes of a page. */
  rangeOf(page: number): Range {
    const offset = page * PAGE_BLOCKS * BLOCK_BYTES;
    return {
      offset,
      length: Math.min(PAGE_BLOCKS * BLOCK_BYTES, this.sizeBytes - offset),
    };
  }

  /** Takes these blocks, open or not; they must be consecutive and in one page. */
  takeRun(first: number, behind: number): Piece {
    const open: number[] = [];
    for (let block = first; block < behind; block++) if (this.#open.has(block)) open.push(block);
    return this.#taken(first, behind, open);
  }

  /** The comparison of a piece has failed: what was open is open again. */
  giveUp(piece: Piece): void {
    this.#underWay -= piece.open.length;
    for (const block of piece.open) this.#open.add(block);
    this.#forget(Math.floor(piece.first / PAGE_BLOCKS));
  }

  /**
   * Takes the hashes of a piece at both ends, which were computed after it was taken.
   *
   * @returns the blocks that differ, and were not written meanwhile.
   */
  judge(piece: Piece, here: BlockHashes, there: BlockHashes): number[] {
    const { first, behind, range, open } = piece;
    this.#underWay -= open.length;
    this.comparedBytes += range.length;
    const differing: number[] = [];
    const page = Math.floor(first / PAGE_BLOCKS);
    const isWhole = behind - first === this.#root.blocksOf(page);
    const kept = isWhole ? here : this.#pages.get(this.name, page);
    if (isWhole) this.#pages.set(this.name, page, here);
    for (let block = first; block < behind; block++) {
      // It was written since it was taken.
      if (this.#open.has(block)) continue;
      if (here.equals(block - first, there, block - first)) {
        this.#differing.delete(block);
        if (!isWhole) kept?.copy(block % PAGE_BLOCKS, here, block - first);
        continue;
      }
      differing.push(block);
      this.#open.add(block);
      this.#forget(page);
      const times = this.#differing.get(block) ?? 0;
      if (times > 0 || this.#differing.size < MOST_DIFFERING) this.#differing.set(block, times + 1);
    }
    if (kept) void this.#digest(page, kept);
    return differing;
  }

  /** The root hash of the disk; `null` when a block is open, or a page was forgotten. */
  async rootHash(): Promise<string | null> {
    await this.settled();
    return this.#open.size > 0 ? null : await this.#root.value();
  }

  /** Resolves when the digest of each page that is proved by now is computed. */
  async settled(): Promise<void> {
    await Promise.all(this.#digesting.values());
  }

  /** Sets the digest of a page from the hashes of all its blocks, which are proved. */
  async digestPage(page: number, hashes: BlockHashes): Promise<void> {
    await this.#digest(page, hashes);
  }

  /** Pages without an open block whose digest is not known. */
  *undigested(): Iterable<number> {
    for (let page = 0; page < this.#root.pages; page++) {
      if (!this.#root.has(page) && !this.#digesting.has(page) && !this.#hasOpen(page)) yield page;
    }
  }

  #forget(page: number): void {
    this.#root.forget(page);
    this.#digesting.delete(page);
  }

  #hasOpen(page: number): boolean {
    const next = this.#open.next(page * PAGE_BLOCKS);
    return next !== undefined && next < (page + 1) * PAGE_BLOCKS;
  }

  #taken(first: number, behind: number, open: readonly number[]): Piece {
    for (const block of open) this.#open.delete(block);
    this.#underWay += open.length;
    const offset = first * BLOCK_BYTES;
    const end = Math.min(behind * BLOCK_BYTES, this.sizeBytes);
    return { first, behind, open, range: { offset, length: end - offset } };
  }

  async #digest(page: number, hashes: BlockHashes): Promise<void> {
    if (this.#hasOpen(page)) return;
    const computing = pageDigest(hashes);
    this.#digesting.set(page, computing);
    const digest = await computing;
    if (this.#digesting.get(page) !== computing) return;
    this.#digesting.delete(page);
    this.#root.set(page, digest);
  }
}
