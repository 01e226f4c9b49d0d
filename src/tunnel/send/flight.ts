/**
 * How many bytes may be under way unacknowledged: enough to keep the connection full, and not much
 * more, for all that stands in a queue makes the RPC wait and the caches cold. Pure; the caller
 * brings the time, in ms.
 *
 * The rate is measured a round at a time: from some moment until everything sent by then is
 * acknowledged. The cap is twice the highest rate of the last rounds times the shortest round trip, so
 * that a connection that has no queue yet is given twice as much with each round; at least what goes
 * out in QUEUE_MS, because the other end may be kept from its processor for a while.
 *
 * @module
 */
import * as limits from "../limits.ts";

/** Rounds whose highest rate counts. */
const ROUNDS = 8;

export class FlightCap {
  readonly #most: number;
  readonly #first: number;
  #cap: number;
  /** Bytes per ms of the last rounds. */
  #rates: number[] = [];
  #startedAt: number | undefined;
  #ackedAtStart = 0;
  /** The round is over when this much is acknowledged. */
  #roundEnd = 0;
  #limited = false;

  /**
   * @param most the cap is never above this, bytes.
   * @param first the cap until something was measured.
   */
  constructor(most: number, first: number = limits.FIRST_IN_FLIGHT) {
    this.#most = most;
    this.#first = Math.min(most, first);
    this.#cap = this.#first;
  }

  /** Bytes that may be under way. */
  get bytes(): number {
    return this.#cap;
  }

  /** The highest that the cap can ever be. */
  get most(): number {
    return this.#most;
  }

  /** A DATA frame's payload should not be larger, so that several fit under the cap. */
  get frameBytes(): number {
    return Math.max(limits.MIN_DATA_SENT, this.#cap / 4);
  }

  /** The cap kept something from being sent. */
  limited(): void {
    this.#limited = true;
  }

  /** A new connection: what was measured on the old one says nothing. */
  restart(): void {
    this.#startedAt = undefined;
    this.#rates = [];
    this.#cap = Math.min(this.#most, Math.max(this.#cap, limits.FIRST_IN_FLIGHT));
  }

  /** The end of what is measured has been acknowledged: only then does `acked` look at the time. */
  isRoundOver(acked: number): boolean {
    return this.#startedAt === undefined || acked >= this.#roundEnd;
  }

  /**
   * The other end has everything below `acked` of the `end` bytes sent in all.
   *
   * @param rttMs the shortest round trip so far.
   */
  acked(acked: number, end: number, rttMs: number, now: number): void {
    if (this.#startedAt !== undefined) {
      const took = now - this.#startedAt;
      if (!this.isRoundOver(acked) || took < limits.SHORTEST_ROUND_MS) return;
      this.#measured((acked - this.#ackedAtStart) / took, rttMs);
    }
    this.#startedAt = now;
    this.#ackedAtStart = acked;
    this.#roundEnd = end;
    this.#limited = false;
  }

  #measured(rate: number, rttMs: number): void {
    if (this.#limited || rate > Math.max(0, ...this.#rates)) {
      this.#rates.push(rate);
      if (this.#rates.length > ROUNDS) this.#rates.shift();
    }
    const best = Math.max(...this.#rates);
    const queue = Math.min(limits.QUEUE_BYTES, best * limits.QUEUE_MS);
    const cap = Math.ceil(Math.max(limits.LEAST_IN_FLIGHT, 2 * best * rttMs, queue));
    // A sender that was not held back tells only that the connection can do so much: a slow start
    // lowers the cap no further than to what it began with. But a round trip that was measured while
    // the processes started must not leave it far too high.
    const least = this.#limited ? 0 : Math.min(this.#first, this.#cap);
    this.#cap = Math.min(this.#most, Math.max(cap, least));
  }
}
