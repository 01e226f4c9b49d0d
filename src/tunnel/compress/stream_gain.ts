import * as limits from "../limits.ts";

/**
 * Whether a stream's bytes shrink. After some pieces in a row that did not, none is compressed for a
 * while, then one is tried. Each failed try doubles the while. Pure. Offsets count bytes of the
 * stream.
 */
export class StreamGain {
  #bad = 0;
  #pauseBytes = limits.FIRST_COMPRESS_PAUSE;
  /** The next try is at this offset; 0 while pieces are compressed. */
  #pausedUntil = 0;
  /** A try is under way. */
  #trying = false;

  /** Whether to compress the piece that begins at `offset`. */
  wants(offset: number): boolean {
    return this.#pausedUntil === 0 || (!this.#trying && offset >= this.#pausedUntil);
  }

  /** A piece is being compressed. */
  started(): void {
    this.#trying = this.#pausedUntil !== 0;
  }

  /**
   * The piece is back.
   *
   * @param offset the stream's offset now.
   */
  done(shrank: boolean, offset: number): void {
    if (shrank) {
      this.#bad = 0;
      this.#pauseBytes = limits.FIRST_COMPRESS_PAUSE;
      this.#pausedUntil = 0;
    } else if (this.#trying) {
      this.#pauseBytes = Math.min(limits.MOST_COMPRESS_PAUSE, this.#pauseBytes * 2);
      this.#pausedUntil = offset + this.#pauseBytes;
    } else if (++this.#bad === limits.BAD_PIECES) {
      this.#pausedUntil = offset + this.#pauseBytes;
    }
    this.#trying = false;
  }
}
