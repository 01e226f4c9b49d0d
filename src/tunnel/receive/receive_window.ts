/**
 * What the peer may send on one stream: how much came, how much of it was used up, and how much is
 * allowed beyond that. Offsets count bytes of the stream. Pure; the caller brings the time, in ms.
 *
 * @module
 */
import * as limits from "../limits.ts";

export class ReceiveWindow {
  #received = 0;
  #consumed = 0;
  #limit: number;
  #size: number;
  #grantedAt: number;
  #narrow = false;

  /** @param first what the peer may send before it is told a limit, bytes. */
  constructor(first: number, now: number) {
    this.#limit = first;
    this.#size = first;
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

  /** Bytes that the peer was allowed and that were not consumed yet. */
  get creditOut(): number {
    return this.#limit - this.#consumed;
  }

  /** Everything received was consumed. */
  get empty(): boolean {
    return this.#consumed >= this.#received;
  }

  /** So much of the window is used up that the peer should be told a new limit. */
  get worthGranting(): boolean {
    return this.creditOut <= this.#size / 2;
  }

  receive(bytes: number): void {
    this.#received += bytes;
  }

  consume(bytes: number): void {
    this.#consumed += bytes;
  }

  /**
   * The next grant is of this many bytes.
   *
   * @returns false when the window is as large already.
   */
  widen(size: number): boolean {
    if (size <= this.#size) return false;
    this.#size = size;
    // It is not to be doubled at once.
    this.#grantedAt = -Infinity;
    return true;
  }

  /**
   * What waits for the reader is in the way of something else: the window is what the reader uses up in
   * less time than else, and shrinks when it becomes slower.
   */
  narrow(): void {
    this.#narrow = true;
  }

  /**
   * The limit to tell the peer; it holds from now on. The window doubles while the reader uses up
   * half of it within a round trip, which means that the peer waits for credit; a reader that is
   * slower than that has no use for more, it would only stand in a queue. A window that comes in one
   * burst is granted anew once a round trip and a little, hence the half more.
   *
   * @param most the window is not above this, bytes.
   */
  grant(now: number, rttMs: number, most: number): number {
    const tookMs = now - this.#grantedAt;
    const quickMs = (this.#narrow ? limits.NARROW_WINDOW_MS : limits.WINDOW_MS) + 1.5 * rttMs;
    if (tookMs < quickMs) {
      this.#size *= 2;
    } else if (this.#narrow && tookMs > limits.NARROW_SLOW * quickMs) {
      this.#size = Math.max(limits.MIN_WINDOW, this.#size / 2);
    }
    this.#grantedAt = now;
    this.#size = Math.min(this.#size, most);
    this.#limit = Math.max(this.#limit, this.#consumed + this.#size);
    return this.#limit;
  }
}
