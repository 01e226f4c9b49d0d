import { type Logger, messageOf } from "../io/mod.ts";
import {
  type AskHashes,
  BLOCK_BYTES,
  BlockHashes,
  PAGE_BLOCKS,
  PAGE_BYTES,
} from "./block_hashes.ts";
import { BlockSet } from "./block_set.ts";

/** Pages that are asked for ahead of the one that is needed: enough for a mirror over a long round trip. */
const AHEAD = 4;
/** Most pages that are kept, 8 KiB each: the hashes of 64 GiB. */
const MOST_PAGES = 4096;

/**
 * What the destination's disk holds, page by page, as far as it is needed. Each page is asked for once: by the
 * time that it was forgotten, the mirror has passed it.
 */
export class KnownHashes {
  readonly #ask: AskHashes;
  readonly #sizeBytes: number;
  readonly #log: Logger;
  readonly #pages = new Map<number, Promise<BlockHashes | undefined>>();
  readonly #asked: BlockSet;
  #isRefused = false;

  /** Asks for nothing yet. */
  constructor(options: {
    readonly ask: AskHashes;
    /** Of the disk, bytes. */
    readonly sizeBytes: number;
    readonly log: Logger;
  }) {
    this.#ask = options.ask;
    this.#sizeBytes = options.sizeBytes;
    this.#log = options.log;
    this.#asked = new BlockSet(Math.ceil(options.sizeBytes / PAGE_BYTES));
  }

  /**
   * The hashes of the page with a block, and begins to ask for the next pages.
   *
   * @returns `undefined` where they are not known: write the block then. Never rejects.
   */
  async pageOf(block: number): Promise<BlockHashes | undefined> {
    const page = Math.floor(block / PAGE_BLOCKS);
    const hashes = this.#need(page);
    for (let next = page + 1; next <= page + AHEAD; next++) this.#need(next);
    return await hashes;
  }

  #need(page: number): Promise<BlockHashes | undefined> | undefined {
    const offset = page * PAGE_BYTES;
    if (this.#isRefused || offset >= this.#sizeBytes) return undefined;
    if (!this.#asked.has(page)) {
      this.#asked.add(page);
      this.#pages.set(page, this.#fetch(offset));
      if (this.#pages.size > MOST_PAGES) {
        const { value: oldest } = this.#pages.keys().next();
        this.#pages.delete(oldest!);
      }
    }
    return this.#pages.get(page);
  }

  async #fetch(offset: number): Promise<BlockHashes | undefined> {
    const length = Math.min(PAGE_BYTES, this.#sizeBytes - offset);
    try {
      const answer = await this.#ask({ offset, length });
      return BlockHashes.decode(answer, Math.ceil(length / BLOCK_BYTES));
    } catch (error) {
      // Everything is written from now on, which is always right.
      if (!this.#isRefused) this.#log.log("warning", `no hashes of blocks: ${messageOf(error)}`);
      this.#isRefused = true;
      return undefined;
    }
  }
}
