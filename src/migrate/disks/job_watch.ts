import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import { type JobInfo, type QmpClient, type QmpEvent, queryJobs } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";

export interface JobWatchOptions {
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after each look, before those who wait for it. */
  readonly onLook: () => Promise<void>;
}

/** How often the jobs are looked at when no event says that something changed, ms. */
const POLL_MS = 500;
/** After an event that most often means nothing they are looked at so much later, ms. */
const SETTLE_MS = 50;
/** Statuses that somebody waits for. A job has others for a moment whenever QEMU drains its disks. */
const TELLING: readonly string[] = ["ready", "aborting", "concluded", "null"];

interface Waiter {
  readonly wake: () => void;
  /** What is waited for. */
  readonly condition: () => boolean;
}

/**
 * Looks at QEMU's jobs: events say when, `query-jobs` says what is so. Only a job that has completed
 * without an error is known by its events alone: the guest stands still then. From `start` to `stop`.
 */
export class JobWatch {
  readonly #options: JobWatchOptions;
  #jobs = new Map<string, JobInfo>();
  readonly #failedOperation = new Map<string, string>();
  #watching = false;
  #stopEvents: () => void = () => {};
  #stopPoll: () => void = () => {};
  #stopSettling: (() => void) | undefined;
  /** Jobs that did what they were to do. */
  readonly #completed = new Set<string>();
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
    this.#stopEvents = qmp.onEvent((event) => this.#onEvent(event));
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
    this.#stopSettling?.();
    this.#stopSettling = undefined;
  }

  #onEvent({ event, data }: QmpEvent): void {
    switch (event) {
      case "BLOCK_JOB_ERROR": {
        const { device, operation } = data as { device: string; operation: string };
        if (!this.#failedOperation.has(device)) this.#failedOperation.set(device, operation);
        return this.#hint();
      }
      case "BLOCK_JOB_COMPLETED": {
        const { device, error } = data as { device: string; error?: string };
        if (error === undefined) this.#completed.add(device);
        return;
      }
      case "JOB_STATUS_CHANGE":
        return this.#onStatus(data as { id: string; status: string });
    }
  }

  #onStatus({ id, status }: { id: string; status: string }): void {
    const job = this.#jobs.get(id);
    if (job?.status === status) return;
    if (status === "concluded" && job && this.#completed.has(id)) {
      this.#jobs.set(id, { ...job, status });
      this.#wake();
      return;
    }
    if (TELLING.includes(status)) return this.#hint();
    this.#stopSettling ??= this.#options.clock.after(SETTLE_MS, () => this.#hint());
  }

  #hint(): void {
    this.#hinted = true;
    this.#lookSoon();
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
      this.#stopSettling?.();
      this.#stopSettling = undefined;
      try {
        this.#jobs = new Map((await queryJobs(qmp)).map((job) => [job.id, job]));
      } catch (error) {
        // The QMP client's end is a fault of its own, told elsewhere.
        log.log("debug", `query-jobs: ${messageOf(error)}`);
        break;
      }
      await onLook().catch((error) => log.log("debug", `the mirror jobs: ${messageOf(error)}`));
      this.#wake();
    }
  }

  #wake(): void {
    const waiters = [...this.#waiters];
    // For an event alone: another question would be in the way of what comes next, and the guest may
    // be standing still.
    if (waiters.length > 0 && waiters.every(({ condition }) => condition())) this.#hinted = false;
    for (const { wake } of waiters) wake();
  }
}
