/**
 * Limits bulk bytes to a rate: a token bucket that may be overdrawn by one frame. Pure; the caller
 * passes the time, ms.
 *
 * @module
 */

/** A token bucket. */
export class Pacer {
  /** Bytes per second; `Infinity` = no limit. */
  #rate = Infinity;
  #tokens = 0;
  #at = 0;

  get rate(): number {
    return this.#rate;
  }

  /** Sets the rate in bytes per second, from now on. */
  setRate(rate: number, now: number): void {
    this.#rate = rate;
    this.#tokens = 0;
    this.#at = now;
  }

  /** Time until bytes may be sent, ms; 0 = now. */
  wait(now: number): number {
    if (this.#rate === Infinity) return 0;
    // 20 ms of tokens are kept, so that a late timer costs no throughput.
    const burst = this.#rate * 0.02;
    this.#tokens = Math.min(burst, this.#tokens + (now - this.#at) * this.#rate / 1000);
    this.#at = now;
    return this.#tokens >= 0 ? 0 : Math.max(1, -this.#tokens * 1000 / this.#rate);
  }

  /** Counts bytes sent. */
  spend(bytes: number): void {
    if (this.#rate !== Infinity) this.#tokens -= bytes;
  }
}
