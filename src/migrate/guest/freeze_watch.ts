import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { Session } from "../../tunnel/mod.ts";

/** The part of a session, or of a lane of it, that shows whether its connection carries anything. */
export type Silence = Pick<Session, "state" | "progress" | "inFlight"> & {
  /** Where it has several: a disk waits for one of them, whatever the others carry. */
  readonly lanes?: readonly Silence[];
};

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
  /** The progress of each lane, and when it last carried something. */
  #carried: ReadonlyMap<Silence, { readonly progress: number; readonly at: number }> = new Map();
  #askedAt: number | undefined;

  constructor(options: FreezeWatchOptions) {
    this.#options = options;
  }

  /** Whether the connection has carried nothing for 2 s, known to be lost or not. */
  get silent(): boolean {
    const now = this.#options.clock.now();
    return this.#running && [...this.#carried.values()].some(({ at }) => now - at >= SILENT_MS);
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#carried = new Map();
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
    const lanes = carrier ? carrier.lanes ?? [carrier] : [];
    this.#carried = new Map(lanes.map((lane) => {
      const before = this.#carried.get(lane);
      const { state, progress, inFlight } = lane;
      const isIdle = state === "up" && inFlight === 0;
      const isSilent = before?.progress === progress && !isIdle;
      return [lane, { progress, at: isSilent ? before!.at : now }];
    }));
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
