import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { Session } from "../../tunnel/mod.ts";

/** The session that carries the mirrors, as far as its silence goes. */
export type Silence = Pick<Session, "state" | "progress" | "inFlight">;

export interface FreezeWatchOptions {
  readonly qmp: Pick<QmpClient, "execute">;
  readonly clock: Clock;
  readonly log: Logger;
  /** `undefined` while there is none. */
  readonly session: () => Silence | undefined;
  /** QEMU has not answered for so long, ms, while the connection carried nothing. */
  readonly onFrozen: (unansweredMs: number) => void;
}

/** How often it is looked, ms. */
const TICK_MS = 500;
/** How long the connection may carry nothing before QEMU is asked whether it waits for it, ms. */
const SILENT_MS = 2_000;
/** How long QEMU may take to answer then, ms: it answers within milliseconds where it waits for nothing. */
const UNANSWERED_MS = 2_000;

/**
 * Finds a QEMU that waits, as a whole and its guest with it, for writes that are stuck in a silent connection:
 * it drains a disk where the guest is reset or stopped, or connects a target. Such a QEMU answers no QMP
 * command. Bytes that are not acknowledged show the silence long before a connection is found dead.
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

  /** The connection has carried nothing for a while, found dead or not. */
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
