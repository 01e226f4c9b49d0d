import type { Clock } from "../io/mod.ts";
import { Stalls } from "./connection/stalls.ts";

export interface GraceOptions {
  readonly clock: Clock;
  /** Length of a period, ms. */
  readonly ms: number;
  /** Bytes of ours that wait for their acknowledgement. */
  readonly inFlight: () => number;
  /** Bytes of whole sequenced frames received. */
  readonly received: () => number;
  /** Called when a period is over and there is no connection. */
  readonly onOver: (reason: string, cause: Error) => void;
}

/** A connection that is over. */
export interface LostConnection {
  /** Something came from the other end well after the handshake. */
  readonly heardLate: boolean;
  /** It was closed because nothing came. */
  readonly silent: boolean;
}

/**
 * How long a session may go without a connection that carries it (docs/tunnel-protocol.md, section
 * 7). A period begins when a connection is lost. Only acknowledged bytes end it: if a new connection
 * did, a path that passes handshakes and nothing else would renew it for ever. A period that is over
 * while a connection is there ends the session when that one is lost. Owned by the session.
 */
export class Grace {
  readonly #options: GraceOptions;
  readonly #stalls = new Stalls();
  #until: number | undefined;
  #stopTimer: () => void = () => {};
  /** Connections that were lost since the last progress. */
  #lost = 0;
  /** Bytes of ours were acknowledged over the connection in use. */
  #acknowledged = false;
  /** Bytes that had been received when it began. */
  #receivedBefore = 0;

  constructor(options: GraceOptions) {
    this.#options = options;
  }

  /** Rest of the period that runs, ms; a whole period while none does. */
  get leftMs(): number {
    const { clock, ms } = this.#options;
    return this.#until === undefined ? ms : Math.max(0, this.#until - clock.now());
  }

  /** What the last connections have in common and what to do about it, if anything. */
  get hint(): string | undefined {
    return this.#stalls.hint;
  }

  /**
   * The connection is lost.
   *
   * @param mostMs upper bound of the wait for the next one.
   */
  lost({ heardLate, silent }: LostConnection, cause: Error, mostMs: number): void {
    const { clock, ms, inFlight, received, onOver } = this.#options;
    const progress = this.#acknowledged || received() > this.#receivedBefore;
    this.#stalls.over({ unacknowledged: inFlight(), progress, heardLate, silent });
    this.#lost++;
    this.#until ??= clock.now() + ms;
    const waitMs = Math.min(this.leftMs, mostMs);
    const over = () => {
      const within = `within ${Math.min(ms, mostMs) / 1000} s`;
      const what = this.#lost > 1
        ? `, ${this.#lost} in a row that carried nothing ${within}`
        : ` and did not come back ${within}`;
      const hint = this.hint === undefined ? "" : `. ${this.hint}`;
      onOver(`The connection was lost (${cause.message})${what}${hint}`, cause);
    };
    // At once: a connection that is made just now would let the session go on past its grace.
    if (waitMs === 0) over();
    else this.#stopTimer = clock.after(waitMs, over);
  }

  /** There is a connection again; the period goes on until bytes are acknowledged. */
  attached(): void {
    this.#stopTimer();
    this.#acknowledged = false;
    this.#receivedBefore = this.#options.received();
  }

  /** Bytes of ours were acknowledged: the next loss begins a period of its own. */
  readonly renew = (): void => {
    this.#until = undefined;
    this.#lost = 0;
    this.#acknowledged = true;
  };

  /** Something came from the other end well after the handshake. */
  heardLate(): void {
    // Where bytes are in flight, only their acknowledgement shows that the connection carries them.
    if (this.#options.inFlight() > 0) return;
    this.#until = undefined;
    this.#lost = 0;
  }

  /** The session is over. */
  stop(): void {
    this.#stopTimer();
  }
}
