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
  /** A period is over and no connection is there. */
  readonly onOver: (reason: string, cause: Error) => void;
}

/** A connection that is over. */
export interface LostConnection {
  /** Something came from the other end well after the handshake. */
  readonly heardLate: boolean;
  /** It was given up for its silence. */
  readonly silent: boolean;
}

/**
 * How long a session may go without a connection that carries it. A period begins when a connection is
 * lost. Only acknowledged bytes end it: a new connection alone does not, or one that carries nothing but
 * its handshake would renew it for ever. A period that is over while a connection is there ends the
 * session when that one is lost. Owned by the session.
 */
export class Grace {
  readonly #options: GraceOptions;
  readonly #stalls = new Stalls();
  #until: number | undefined;
  #stopTimer: () => void = () => {};
  /** Connections that were lost since the last progress. */
  #vain = 0;
  /** What was acknowledged, or received, over the connection in use. */
  #acknowledged = false;
  #receivedBefore = 0;

  constructor(options: GraceOptions) {
    this.#options = options;
  }

  /** What is left of the period that runs, ms; all of it while none does. */
  get leftMs(): number {
    const { clock, ms } = this.#options;
    return this.#until === undefined ? ms : Math.max(0, this.#until - clock.now());
  }

  /** What the last connections have in common, and what to do about it. */
  get hint(): string | undefined {
    return this.#stalls.hint;
  }

  /**
   * The connection is lost.
   *
   * @param mostMs the wait for the next one is no longer than this.
   */
  lost({ heardLate, silent }: LostConnection, cause: Error, mostMs: number): void {
    const { clock, ms, inFlight, received, onOver } = this.#options;
    const progress = this.#acknowledged || received() > this.#receivedBefore;
    this.#stalls.over({ unacknowledged: inFlight(), progress, heardLate, silent });
    this.#vain++;
    this.#until ??= clock.now() + ms;
    const waitMs = Math.min(this.leftMs, mostMs);
    const over = () => {
      const within = `within ${Math.min(ms, mostMs) / 1000} s`;
      const what = this.#vain > 1
        ? `, ${this.#vain} in a row that carried nothing ${within}`
        : ` and did not come back ${within}`;
      const hint = this.hint === undefined ? "" : `. ${this.hint}`;
      onOver(`The connection was lost (${cause.message})${what}${hint}`, cause);
    };
    // At once: another connection that is made just now would have the session go on for its time.
    if (waitMs === 0) over();
    else this.#stopTimer = clock.after(waitMs, over);
  }

  /** There is a connection again, which has to show what it carries. */
  attached(): void {
    this.#stopTimer();
    this.#acknowledged = false;
    this.#receivedBefore = this.#options.received();
  }

  /** Bytes of ours were acknowledged: the next loss begins a period of its own. */
  readonly renew = (): void => {
    this.#until = undefined;
    this.#vain = 0;
    this.#acknowledged = true;
  };

  /** Something came from the other end well after the handshake. */
  heardLate(): void {
    // With bytes on their way, only their acknowledgement shows that the connection carries them.
    if (this.#options.inFlight() > 0) return;
    this.#until = undefined;
    this.#vain = 0;
  }

  /** The session is over. */
  stop(): void {
    this.#stopTimer();
  }
}
