/**
 * The cap on bytes in flight (docs/tunnel-protocol.md, section 6): enough to fill the connection and
 * not much more, because queued bytes delay the RPC and leave the processor's cache. Pure; the
 * caller passes the time, ms.
 *
 * The rate is measured in rounds: from some moment until everything sent by then is acknowledged.
 * The cap is twice the highest rate of the last rounds times the shortest round trip, so that it
 * doubles with each round while the connection has no queue. It is at least what the connection
 * carries in QUEUE_MS, because the other end may not get its processor for a while.
 *
 * @module
 */
import * as limits from "../limits.ts";

/** Rounds whose highest rate counts. */
const ROUNDS = 8;

/** Measures the connection and sets the cap. Owned by the session. */
export class FlightCap {
  readonly #most: number;
  readonly #first: number;
  #cap: number;
  /** Bytes per ms of the last rounds. */
  #rates: number[] = [];
  #startedAt: number | undefined;
  /** When the round began, nothing was in flight and no frame waited. */
  #startedEmpty = false;
  #ackedAtStart = 0;
  /** The round is over when this many bytes are acknowledged. */
  #roundEnd = 0;
  /** The cap delayed a frame in this round. */
  #limited = false;
  /** Bytes waited in this round, for whatever reason. */
  #held = false;
  /** Rounds in a row, up to the last one, whose bytes waited in queues. */
  #queuedRounds = 0;
  /** Bytes and ms of the rounds with bulk, later ones with more weight. */
  #bulkBytes = 0;
  #bulkMs = 0;
  /** The part of these ms in which bytes waited. */
  #heldMs = 0;

  /**
   * @param most upper bound of the cap, bytes.
   * @param first the cap until a rate was measured, bytes.
   */
  constructor(most: number, first: number = limits.FIRST_IN_FLIGHT) {
    this.#most = most;
    this.#first = Math.min(most, first);
    this.#cap = this.#first;
  }

  /**
   * Bytes per ms that the connection carries, over its last rounds with bulk; `undefined` until
   * they took a while. Not the highest of them: acknowledgements that were delayed come in bursts.
   */
  get rate(): number | undefined {
    return this.#bulkMs >= limits.BULK_MS / 2 ? this.#bulkBytes / this.#bulkMs : undefined;
  }

  /**
   * The last rounds took so much longer than a round trip that their bytes waited in queues, whether
   * the cap limited them or the windows of the streams. One round says nothing: a process pauses.
   */
  get isQueued(): boolean {
    return this.#queuedRounds >= 2;
  }

  /**
   * Bytes waited for the connection nearly all of the time over which `rate` is taken; true until a
   * rate was measured.
   */
  get isHeld(): boolean {
    return this.#heldMs >= limits.HELD_SHARE * this.#bulkMs;
  }

  /** Bytes that may be in flight. */
  get bytes(): number {
    return this.#cap;
  }

  /** Upper bound of the cap, bytes. */
  get most(): number {
    return this.#most;
  }

  /** Largest payload of a DATA frame that lets several frames fit under the cap, bytes. */
  get frameBytes(): number {
    return Math.max(limits.MIN_DATA_SENT, this.#cap / 4);
  }

  /** The cap delayed a frame. */
  limited(): void {
    this.#limited = this.#held = true;
  }

  /** A frame waits for the connection or for the bandwidth limit. */
  held(): void {
    this.#held = true;
  }

  /** A new connection: the old one's measurements do not apply. */
  restart(): void {
    this.#startedAt = undefined;
    this.#rates = [];
    this.#limited = this.#held = false;
    this.#bulkBytes = this.#bulkMs = this.#heldMs = 0;
    this.#queuedRounds = 0;
    this.#cap = Math.min(this.#most, Math.max(this.#cap, limits.FIRST_IN_FLIGHT));
  }

  /** The round is over: call `acked` with the time. */
  isRoundOver(acked: number): boolean {
    return this.#startedAt === undefined || acked >= this.#roundEnd;
  }

  /**
   * The other end has acknowledged `acked` of the `end` bytes sent in all.
   *
   * @param rttMs the shortest round trip so far.
   */
  acked(acked: number, end: number, rttMs: number, now: number): void {
    if (this.#startedAt !== undefined) {
      const took = now - this.#startedAt;
      if (!this.isRoundOver(acked)) return;
      if (took < limits.SHORTEST_ROUND_MS) {
        if (acked >= end && !this.#held) this.#begunEmpty();
        return;
      }
      const bytes = acked - this.#ackedAtStart;
      // A round that began with nothing to send includes time that is not the connection's.
      const isBulk = bytes >= limits.BULK_ROUND && !this.#startedEmpty;
      const isQueued = isBulk && took > 2 * rttMs + limits.QUEUE_MS;
      this.#queuedRounds = isQueued ? this.#queuedRounds + 1 : 0;
      if (isQueued) this.held();
      if (isBulk) this.#addBulk(bytes, took);
      this.#measured(bytes / took, rttMs, isQueued);
    }
    this.#startedAt = now;
    this.#startedEmpty = false;
    if (acked >= end && !this.#held) this.#begunEmpty();
    this.#ackedAtStart = acked;
    this.#roundEnd = end;
    this.#limited = this.#held = false;
  }

  #begunEmpty(): void {
    this.#startedEmpty = true;
    this.#queuedRounds = 0;
  }

  /** A long round, such as one across a pause of the process, counts for BULK_MS at most. */
  #addBulk(bytes: number, took: number): void {
    const keep = Math.max(0, 1 - took / limits.BULK_MS);
    const weight = Math.min(1, limits.BULK_MS / took);
    this.#bulkBytes = this.#bulkBytes * keep + bytes * weight;
    this.#bulkMs = this.#bulkMs * keep + took * weight;
    this.#heldMs = this.#heldMs * keep + (this.#held ? took * weight : 0);
  }

  #measured(rate: number, rttMs: number, isQueued: boolean): void {
    if (this.#limited || isQueued || rate > Math.max(0, ...this.#rates)) {
      this.#rates.push(rate);
      if (this.#rates.length > ROUNDS) this.#rates.shift();
    }
    const best = Math.max(...this.#rates);
    const queue = Math.min(limits.QUEUE_BYTES, best * limits.QUEUE_MS);
    const cap = Math.ceil(Math.max(limits.LEAST_IN_FLIGHT, 2 * best * rttMs, queue));
    // A round that the cap did not limit is only a lower bound of the rate: a slow start must not
    // lower the cap below its first value. But a long round trip that was measured while the
    // processes started must not leave it far too high.
    const least = this.#limited ? 0 : Math.min(this.#first, this.#cap);
    this.#cap = Math.min(this.#most, Math.max(cap, least));
  }
}
