/**
 * The credit of one stream (docs/tunnel-protocol.md, section 5): how many bytes came, how many were
 * consumed, and how many the peer may send beyond those. Offsets count bytes of the stream. Pure; the
 * caller passes the time, ms.
 *
 * @module
 */
import * as limits from "../limits.ts";

/** The receive window of one stream. */
export class ReceiveWindow {
  #received = 0;
  #consumed = 0;
  #limit: number;
  #size: number;
  #grantedAt: number;
  #narrow = false;
  /** The size below which it does not shrink. */
  #least: number;

  /** @param first bytes that the peer may send before it gets any credit. */
  constructor(first: number, now: number) {
    this.#limit = first;
    this.#size = first;
    this.#least = first;
    this.#grantedAt = now;
  }

  /** Bytes received so far. */
  get received(): number {
    return this.#received;
  }

  /** Bytes that the peer may send in all. */
  get limit(): number {
    return this.#limit;
  }

  /** Bytes that the peer may send beyond those that were consumed. */
  get creditOut(): number {
    return this.#limit - this.#consumed;
  }

  /** Everything received was consumed. */
  get empty(): boolean {
    return this.#consumed >= this.#received;
  }

  /** Half of the window is used up: the peer should get a new limit. */
  get worthGranting(): boolean {
    return this.creditOut <= this.#size / 2;
  }

  /** Counts bytes that came. */
  receive(bytes: number): void {
    this.#received += bytes;
  }

  /** Counts bytes that the reader has used up. */
  consume(bytes: number): void {
    this.#consumed += bytes;
  }

  /**
   * Widens the window, for good; the next grant uses it.
   *
   * @returns false when the window is as large already.
   */
  widen(size: number): boolean {
    this.#least = Math.max(this.#least, size);
    if (size <= this.#size) return false;
    this.#size = size;
    // A grant that follows at once must not double it.
    this.#grantedAt = -Infinity;
    return true;
  }

  /**
   * Keeps the window small: queued bytes add to the downtime. The reader must be faster for the window
   * to grow.
   */
  narrow(): void {
    this.#narrow = true;
  }

  /**
   * The limit to send to the peer; it counts from now on. The window doubles while the reader uses up
   * half of it within a round trip: then the peer waits for credit. A slower reader does not need
   * more; the bytes would only wait in a queue. So a far slower one shrinks the window: a reader that
   * takes its bytes in bursts is fast at times. The factor 1.5 allows for a window that arrives in one
   * burst, which is granted again after slightly more than a round trip.
   *
   * @param most upper bound of the window, bytes.
   */
  grant(now: number, rttMs: number, most: number): number {
    const tookMs = now - this.#grantedAt;
    const quickMs = (this.#narrow ? limits.NARROW_WINDOW_MS : limits.WINDOW_MS) + 1.5 * rttMs;
    if (tookMs < quickMs) {
      this.#size *= 2;
    } else if (tookMs > limits.SLOW_READER * quickMs) {
      this.#size = Math.max(this.#least, Math.floor(this.#size / 2));
    }
    this.#grantedAt = now;
    this.#size = Math.min(this.#size, most);
    this.#limit = Math.max(this.#limit, this.#consumed + this.#size);
    return this.#limit;
  }
}
