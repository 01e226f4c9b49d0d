import type { Clock } from "../../io/mod.ts";
import * as limits from "../limits.ts";
import type { ConnectionSlot } from "../connection/slot.ts";

/**
 * Counts received bytes and decides when to acknowledge them (docs/tunnel-protocol.md, section 6):
 * at once when many came, else after a short while. Owned by the session; its numbers outlive the
 * connections.
 */
export class Acknowledger {
  readonly #clock: Clock;
  readonly #slot: ConnectionSlot;
  #received = 0;
  #sent = 0;
  #due = false;
  #every = limits.ACK_EVERY;
  #stopTimer: (() => void) | undefined;
  #stopped = false;

  constructor(clock: Clock, slot: ConnectionSlot) {
    this.#clock = clock;
    this.#slot = slot;
  }

  /** Bytes of whole sequenced frames received since the session began. */
  get received(): number {
    return this.#received;
  }

  /** An acknowledgement must be sent now. */
  get due(): boolean {
    return this.#due;
  }

  /** There is something to acknowledge, whether due or not. */
  get pending(): boolean {
    return this.#received > this.#sent;
  }

  /** A whole sequenced frame of `bytes` bytes, header included, was received. */
  count(bytes: number): void {
    this.#received += bytes;
    // Frames may follow in the buffer after the one that ended the session.
    if (this.#stopped) return;
    if (this.#received - this.#sent >= this.#every) {
      if (!this.#due) this.owe();
    } else if (!this.#stopTimer) {
      this.#arm();
    }
  }

  /** An acknowledgement is due, however few bytes came. */
  owe(): void {
    this.#due = true;
    this.#slot.wake();
  }

  /** A new connection: the last acknowledgement may be lost, so it is due again. */
  restart(): void {
    this.#due = this.#received > 0;
  }

  /** Takes the number to acknowledge; the caller sends it now. */
  take(): number {
    this.#sent = this.#received;
    this.#due = false;
    return this.#received;
  }

  /** The session is over: nothing becomes due any more. */
  stop(): void {
    this.#stopped = true;
    this.#stopTimer?.();
  }

  /**
   * One timer at a time, which is not cancelled when an acknowledgement is sent before it fires:
   * cancelling one for each frame costs more. Later bytes wait for its next turn. The more bytes came
   * between two turns, the more may come until an acknowledgement is due.
   */
  #arm(): void {
    const sent = this.#sent;
    const received = this.#received;
    this.#stopTimer = this.#clock.after(limits.ACK_DELAY_MS, () => {
      this.#stopTimer = undefined;
      const share = (this.#received - received) / limits.ACKS_PER_DELAY;
      this.#every = Math.min(limits.MOST_ACK_EVERY, Math.max(limits.ACK_EVERY, share));
      if (this.#received === this.#sent) return;
      if (this.#sent !== sent) return this.#arm();
      this.owe();
    });
  }
}
