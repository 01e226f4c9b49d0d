import type { BlockHashes } from "../../delta/mod.ts";

/** Most pages that are kept, 8 KiB each: 16 MiB for the hashes of 32 GiB. */
const MOST_PAGES = 2048;

/**
 * The hashes of the pages of all disks that were compared last. With them a page has a digest again after a
 * few of its blocks have changed, without reading all of it.
 */
export class PageHashes {
  readonly #pages = new Map<string, BlockHashes>();
  readonly #most: number;

  constructor(most: number = MOST_PAGES) {
    this.#most = most;
  }

  /** The hashes of a page, all of its blocks; `undefined` where they are not kept. */
  get(disk: string, page: number): BlockHashes | undefined {
    return this.#pages.get(`${page} ${disk}`);
  }

  /** Keeps the hashes of a page; drops those that were set first. */
  set(disk: string, page: number, hashes: BlockHashes): void {
    const key = `${page} ${disk}`;
    this.#pages.delete(key);
    this.#pages.set(key, hashes);
    if (this.#pages.size <= this.#most) return;
    const { value: oldest } = this.#pages.keys().next();
    this.#pages.delete(oldest!);
  }
}
