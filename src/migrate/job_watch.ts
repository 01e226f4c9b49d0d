import { type Clock, type Logger, messageOf } from "../io/mod.ts";
import { type JobInfo, type QmpClient, queryJobs } from "../qmp/mod.ts";
import { MigrationError } from "./errors.ts";

export interface JobWatchOptions {
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after each look, before those who wait for it. */
  readonly onLook: () => Promise<void>;
}

/** How often the jobs are looked at when no event says that something changed, ms. */
const POLL_MS = 500;

interface Waiter {
  readonly wake: () => void;
  /** What is waited for. */
  readonly condition: () => boolean;
}

/** Looks at QEMU's jobs: events say when, `query-jobs` says what is so. From `start` to `stop`. */
export class JobWatch {
  readonly #options: JobWatchOptions;
  #jobs = new Map<string, JobInfo>();
  readonly #failedOperation = new Map<string, string>();
  #watching = false;
  #stopEvents: () => void = () => {};
  #stopPoll: () => void = () => {};
  #looking: Promise<void> | undefined;
  /** Somebody wants a look that has not begun yet. */
  #lookAgain = false;
  /** An event said that one is worth it. */
  #hinted = false;
  readonly #waiters = new Set<Waiter>();

  constructor(options: JobWatchOptions) {
    this.#options = options;
  }

  /** A job as of the last look. */
  get(id: string): JobInfo | undefined {
    return this.#jobs.get(id);
  }

  /** The jobs there were at the last look. */
  get ids(): Iterable<string> {
    return this.#jobs.keys();
  }

  /** `read` or `write`: what a job could not do first, where there was an error. */
  failedOperation(id: string): string | undefined {
    return this.#failedOperation.get(id);
  }

  start(): void {
    if (this.#watching) return;
    this.#watching = true;
    const { qmp, clock } = this.#options;
    this.#stopEvents = qmp.onEvent((event) => {
      if (event.event === "BLOCK_JOB_ERROR") {
        const { device, operation } = event.data as { device: string; operation: string };
        if (!this.#failedOperation.has(device)) this.#failedOperation.set(device, operation);
      } else if (event.event === "JOB_STATUS_CHANGE") {
        this.#hinted = true;
        this.#lookSoon();
      }
    });
    const poll = () => {
      this.look();
      this.#stopPoll = clock.after(POLL_MS, poll);
    };
    this.#stopPoll = clock.after(POLL_MS, poll);
  }

  stop(): void {
    this.#watching = false;
    this.#stopEvents();
    this.#stopPoll();
  }

  /**
   * Asks for a look; looks that are asked for meanwhile become one. Resolves when one is over that
   * began after this call. Never rejects.
   */
  look(): Promise<void> {
    this.#lookAgain = true;
    return this.#lookSoon();
  }

  #lookSoon(): Promise<void> {
    return this.#looking ??= this.#lookLoop().finally(() => this.#looking = undefined);
  }

  /**
   * Waits until `condition` holds after a look.
   *
   * @throws {MigrationError} with `stallMs`, when nothing moves so long; the signal's reason.
   */
  async until(
    condition: () => boolean,
    signal: AbortSignal | undefined,
    stallMs?: number,
  ): Promise<void> {
    const { clock } = this.#options;
    let moved = clock.now();
    let before = "";
    while (!condition()) {
      signal?.throwIfAborted();
      const now = clock.now();
      const state = JSON.stringify([...this.#jobs.values()]);
      if (state !== before) [before, moved] = [state, now];
      if (stallMs !== undefined && now - moved > stallMs) {
        throw new MigrationError(
          "failed",
          "mirror-stuck",
          "source",
          `The mirror jobs did not end within ${stallMs / 1000} s without any progress`,
        );
      }
      await this.nextLook(signal, condition);
    }
  }

  /**
   * Resolves after the next look, or when `signal` is aborted, or after a second.
   *
   * @param condition when it holds after that look, nobody need look again at once.
   */
  nextLook(
    signal: AbortSignal | undefined,
    condition: () => boolean = () => false,
  ): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", wake);
        cancel();
        resolve();
      };
      const waiter = { wake, condition };
      const cancel = this.#options.clock.after(POLL_MS * 2, wake);
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }

  async #lookLoop(): Promise<void> {
    const { qmp, log, onLook } = this.#options;
    while (this.#lookAgain || this.#hinted) {
      this.#lookAgain = this.#hinted = false;
      try {
        this.#jobs = new Map((await queryJobs(qmp)).map((job) => [job.id, job]));
      } catch (error) {
        // The QMP client's end is a fault of its own, told elsewhere.
        log.log("debug", `query-jobs: ${messageOf(error)}`);
        break;
      }
      await onLook().catch((error) => log.log("debug", `the mirror jobs: ${messageOf(error)}`));
      const waiters = [...this.#waiters];
      // For an event alone: another question would be in the way of what comes next, and the guest may
      // be standing still.
      if (waiters.length > 0 && waiters.every(({ condition }) => condition())) {
        this.#hinted = false;
      }
      for (const { wake } of waiters) wake();
    }
  }
}
