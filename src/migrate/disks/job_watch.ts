import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import { type JobInfo, type QmpClient, type QmpEvent, queryJobs } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";

export interface JobWatchOptions {
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after each look, before the waiting calls resolve. */
  readonly onLook: () => Promise<void>;
}

/** Interval of `query-jobs` without an event, ms. */
const POLL_MS = 500;
/** Delay of `query-jobs` after an event that most often means no change, ms. */
const SETTLE_MS = 50;
/** Statuses that a caller waits for. A job has others for a moment whenever QEMU drains its disks. */
const AWAITED: readonly string[] = ["ready", "aborting", "concluded", "null"];

interface Waiter {
  readonly wake: () => void;
  readonly condition: () => boolean;
}

/**
 * Follows QEMU's jobs from {@link start} to {@link stop}: events say when to look, `query-jobs` (QEMU
 * 3.0) says how the jobs are. Only the completion of a job without an error is taken from events alone:
 * the guest is paused then, and a query would add to the downtime.
 */
export class JobWatch {
  readonly #options: JobWatchOptions;
  #jobs = new Map<string, JobInfo>();
  readonly #failedOperation = new Map<string, string>();
  #watching = false;
  #stopEvents: () => void = () => {};
  #stopPoll: () => void = () => {};
  #stopSettling: (() => void) | undefined;
  /** Jobs that completed without an error (event BLOCK_JOB_COMPLETED). */
  readonly #completed = new Set<string>();
  #looking: Promise<void> | undefined;
  /** A caller of {@link look} waits for a look that has not begun yet. */
  #lookAgain = false;
  /** An event asks for a look; unlike {@link look}, no caller waits for it. */
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

  /** `read` or `write`: the first operation of a job that failed; `undefined` without an error. */
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
    if (AWAITED.includes(status)) return this.#hint();
    this.#stopSettling ??= this.#options.clock.after(SETTLE_MS, () => this.#hint());
  }

  #hint(): void {
    this.#hinted = true;
    this.#lookSoon();
  }

  /**
   * Looks at the jobs; calls that come while a look is under way share the next one.
   *
   * @returns a promise that resolves after a look that began after this call, and never rejects.
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
   * @param stallMs how long the jobs may stay unchanged, ms; without it there is no such limit.
   * @throws {MigrationError} code `mirror-stuck`, after `stallMs`; the signal's reason.
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
          `The mirror jobs in the source's QEMU did not end: no progress for ${stallMs / 1000} s`,
        );
      }
      await this.nextLook(signal, condition);
    }
  }

  /**
   * Resolves after the next look, when `signal` is aborted, or after a second.
   *
   * @param condition if it holds after that look, a pending event needs no further look.
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
        // The owner of the QMP client reports its end.
        log.log("debug", `query-jobs: ${messageOf(error)}`);
        break;
      }
      await onLook().catch((error) => log.log("debug", `the mirror jobs: ${messageOf(error)}`));
      this.#wake();
    }
  }

  #wake(): void {
    const waiters = [...this.#waiters];
    // Drop a look that only an event asked for: the query would delay the next command, and the guest
    // may be paused.
    if (waiters.length > 0 && waiters.every(({ condition }) => condition())) this.#hinted = false;
    for (const { wake } of waiters) wake();
  }
}
