import * as limits from "../limits.ts";

/** When bytes leave that have to wait. */
export interface Waiting {
  /** Bytes per ms that the connection takes; `undefined` while nothing has to wait for it. */
  readonly waitingRate: number | undefined;
  /** Bytes have waited nearly all of the time lately. */
  readonly alwaysWaits: boolean;
}

/**
 * Decides for `--compress auto` whether to compress: only if the connection is what the bytes wait
 * for, and only if the compressor is well faster. Otherwise it would take the processor from what the
 * bytes wait for. Pure; the caller passes the time, ms.
 */
export class Pays {
  readonly #queue: Waiting;
  /** What the compressor did lately, later pieces with more weight; a single late one says little. */
  #ms: number = limits.COMPRESS_MEMORY_MS;
  #bytes: number = limits.COMPRESS_MEMORY_MS * limits.COMPRESS_RATE;
  #active = false;
  #lastJobAt = -Infinity;

  constructor(queue: Waiting) {
    this.#queue = queue;
  }

  /** Whether to compress the next piece. */
  now(now: number): boolean {
    const link = this.#queue.waitingRate;
    if (link === undefined) return false;
    // On a busy processor bytes wait now and then, and any connection seems as slow as the program.
    const surely = link * limits.COMPRESS_FACTOR_SURE <= limits.COMPRESS_RATE;
    if (!this.#active && !surely && !this.#queue.alwaysWaits) return false;
    const factor = this.#active ? limits.COMPRESS_FACTOR_STAY : limits.COMPRESS_FACTOR;
    this.#active = this.#bytes / this.#ms >= factor * link;
    if (this.#active) return true;
    // A rate that was measured on a busy processor must not count for ever.
    const mayBeFaster = limits.COMPRESS_RATE >= limits.COMPRESS_FACTOR * link;
    return mayBeFaster && now - this.#lastJobAt >= limits.COMPRESS_RETRY_MS;
  }

  /** The compressor gets a piece. */
  started(now: number): void {
    this.#lastJobAt = now;
  }

  /** It took `tookMs` for `bytes`. */
  measured(bytes: number, tookMs: number): void {
    if (tookMs <= 0) return;
    this.#bytes += bytes - this.#bytes / limits.COMPRESS_MEMORY;
    this.#ms += tookMs - this.#ms / limits.COMPRESS_MEMORY;
  }
}
