import { BLOCK_BYTES, type BlockHashes, PAGE_BYTES, sha256 } from "./block_hashes.ts";

/** Bytes of a SHA-256. */
const DIGEST_BYTES = 32;
/** The digest of a page that is not known. No page of a real disk has it. */
const UNKNOWN = new Uint8Array(DIGEST_BYTES);

/**
 * The digest of a page: the SHA-256 over the digests of its blocks in order, 32 bytes each. A block of zeroes
 * counts as 32 zero bytes.
 */
export async function pageDigest(hashes: BlockHashes): Promise<Uint8Array> {
  const digests = new Uint8Array(hashes.blocks * DIGEST_BYTES);
  for (let block = 0; block < hashes.blocks; block++) {
    if (!hashes.isZero(block)) digests.set(hashes.digest(block), block * DIGEST_BYTES);
  }
  return await sha256(digests);
}

/** The digest of each page of a disk, and its root hash. Takes 32 bytes a page: 4 MiB for 2 TiB. */
export class RootHash {
  /** Number of pages. */
  readonly pages: number;
  readonly #sizeBytes: number;
  readonly #digests: Uint8Array;

  /**
   * No page is known yet.
   *
   * @param sizeBytes of the disk.
   */
  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
    this.pages = Math.ceil(sizeBytes / PAGE_BYTES);
    this.#digests = new Uint8Array(this.pages * DIGEST_BYTES);
  }

  /** Number of blocks of a page; the last one of a disk may have fewer. */
  blocksOf(page: number): number {
    const bytes = Math.min(PAGE_BYTES, this.#sizeBytes - page * PAGE_BYTES);
    return Math.ceil(bytes / BLOCK_BYTES);
  }

  /** Sets a page's digest, as {@link pageDigest} computes it. */
  set(page: number, digest: Uint8Array): void {
    this.#digests.set(digest, page * DIGEST_BYTES);
  }

  /** Forgets a page's digest: its content has changed. */
  forget(page: number): void {
    this.set(page, UNKNOWN);
  }

  /** Whether the page's digest is known. */
  has(page: number): boolean {
    const at = page * DIGEST_BYTES;
    return this.#digests.subarray(at, at + DIGEST_BYTES).some((byte) => byte !== 0);
  }

  /**
   * The SHA-256 over the digests of all pages in order, in lower-case hexadecimal digits; `null` when a page
   * is not known.
   */
  async value(): Promise<string | null> {
    for (let page = 0; page < this.pages; page++) if (!this.has(page)) return null;
    return (await sha256(this.#digests)).toHex();
  }
}
