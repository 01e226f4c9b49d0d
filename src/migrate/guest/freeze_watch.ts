import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { Session } from "../../tunnel/mod.ts";

/** The part of a session that shows whether its connection carries anything. */
export type Silence = Pick<Session, "state" | "progress" | "inFlight">;

export interface FreezeWatchOptions {
  readonly qmp: Pick<QmpClient, "execute">;
  readonly clock: Clock;
  readonly log: Logger;
  /** The session that carries the mirrors; `undefined` while there is none. */
  readonly session: () => Silence | undefined;
  /** QEMU has not answered for `unansweredMs` while the connection carried nothing. */
  readonly onFrozen: (unansweredMs: number) => void;
}

/** Interval of the check, ms. */
const TICK_MS = 500;
/** How long the connection may carry nothing before QEMU gets a query, ms. */
const SILENT_MS = 2_000;
/** How long QEMU may take to answer it, ms: unless its main loop is blocked, it takes milliseconds. */
const UNANSWERED_MS = 2_000;

/**
 * Detects a QEMU whose main loop, and guest, are blocked by writes that are stuck in a silent connection.
 * That happens when QEMU drains a disk, because the guest is reset or paused, or connects a target.
 * Such a QEMU answers no QMP command. Unacknowledged bytes show the silence long before the connection
 * is known to be lost.
 */
export class FreezeWatch {
  readonly #options: FreezeWatchOptions;
  #stopTimer: () => void = () => {};
  #running = false;
  #progress = -1;
  #carriedAt = 0;
  #askedAt: number | undefined;

  constructor(options: FreezeWatchOptions) {
    this.#options = options;
  }

  /** Whether the connection has carried nothing for 2 s, known to be lost or not. */
  get silent(): boolean {
    return this.#running && this.#options.clock.now() - this.#carriedAt >= SILENT_MS;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#carriedAt = this.#options.clock.now();
    this.#wait();
  }

  stop(): void {
    this.#running = false;
    this.#stopTimer();
  }

  #wait(): void {
    this.#stopTimer = this.#options.clock.after(TICK_MS, () => {
      this.#look();
      if (this.#running) this.#wait();
    });
  }

  #look(): void {
    const { clock, session, onFrozen } = this.#options;
    const now = clock.now();
    const carrier = session();
    const moved = carrier?.progress !== this.#progress;
    const idle = carrier?.state === "up" && carrier.inFlight === 0;
    if (carrier) this.#progress = carrier.progress;
    if (!carrier || moved || idle) this.#carriedAt = now;
    if (!this.silent) return;
    if (this.#askedAt === undefined) return this.#ask(now);
    const unansweredMs = now - this.#askedAt;
    if (unansweredMs >= UNANSWERED_MS) onFrozen(unansweredMs);
  }

  #ask(now: number): void {
    const { qmp, log } = this.#options;
    this.#askedAt = now;
    qmp.execute("query-status", {}, { timeoutMs: 2 ** 31 - 1 })
      .catch((error) => log.log("debug", `query-status: ${messageOf(error)}`))
      .finally(() => this.#askedAt = undefined);
  }
}
