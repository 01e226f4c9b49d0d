import { type Logger, messageOf } from "../../io/mod.ts";
import { listDisks, type QmpClient, type QmpEvent } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";
import type { Report } from "../events.ts";

export interface GuestWatchOptions {
  readonly qmp: QmpClient;
  readonly report: Report;
  readonly log: Logger;
  /** The guest can't be moved as it is. */
  readonly onFault: (error: MigrationError) => void;
  /** Somebody paused it or let it run, or it stands for a reason of its own. */
  readonly onShouldRun?: (shouldRun: boolean) => void;
  /** Both QEMUs carry a guest over that sleeps. */
  readonly asleepCanGo: () => boolean;
}

/** What is said of a guest that sleeps and can't be moved so. */
export const ASLEEP =
  'The guest sleeps (state "suspended"), which QEMU before 9.0 does not carry ' +
  "over: wake it (system_wakeup) and migrate again";

/** Disk errors that are told of; the rest is more of the same. */
const MAX_TOLD = 10;

/**
 * Watches what the guest at the source does, and what is done to it, while it is on its way: errors
 * of its disks, shutdown, reset, panic, and somebody who pauses it or lets it run. From its start to
 * its disposal.
 */
export class GuestWatch implements Disposable {
  readonly #options: GuestWatchOptions;
  readonly #stopEvents: () => void;
  readonly #told = new Set<string>();
  #paused: boolean;
  #suspended = false;
  /** How often it was let run. */
  #resumes = 0;
  #ioError = false;
  #asleep = false;
  /** How often it was told that it stands or runs. */
  #changes = 0;

  /** @param shouldRun whether the guest is to run when the migration is over, as far as is known. */
  constructor(shouldRun: boolean, options: GuestWatchOptions) {
    this.#options = options;
    this.#paused = !shouldRun;
    this.#stopEvents = options.qmp.onEvent((event) => {
      this.#onEvent(event).catch((error) => {
        // The QMP client's end is a fault of its own, told elsewhere.
        options.log.log("debug", `${event.event}: ${messageOf(error)}`);
      });
    });
  }

  /** Whether the guest is to run when the migration is over: nothing and nobody but us stopped it. */
  get shouldRun(): boolean {
    return !this.#paused;
  }

  /**
   * Asks QEMU how the guest is: it may have changed before it was watched.
   *
   * @param shouldRun what follows from QEMU's run state.
   */
  async look(shouldRun: (status: string) => boolean): Promise<void> {
    const before = this.#changes;
    const { status } = await this.#options.qmp.execute("query-status", {});
    // What came meanwhile may be newer than the answer.
    if (this.#changes !== before) return;
    this.#asleep = status === "suspended";
    this.#setPaused(!shouldRun(status));
    this.checkAsleep();
  }

  /** A guest that sleeps is a fault where a QEMU does not carry it over; also once that is known better. */
  checkAsleep(): void {
    if (!this.#asleep || this.#options.asleepCanGo()) return;
    this.#options.onFault(new MigrationError("failed", "guest-asleep", "source", ASLEEP));
  }

  /** The guest sleeps (S3), also once it was stopped for the switchover. */
  get asleep(): boolean {
    return this.#asleep;
  }

  /** True while the guest stands because of {@link suspend}. */
  get suspended(): boolean {
    return this.#suspended;
  }

  /** Stops the guest, so that it changes nothing any more; it is to run when all is over. */
  async suspend(): Promise<void> {
    if (this.#paused || this.#suspended) return;
    this.#suspended = true;
    await this.#options.qmp.execute("stop", {});
  }

  /** Lets it run again after {@link suspend}; not where somebody else has done so. */
  async letRun(): Promise<void> {
    // One that meanwhile has a reason of its own to stand is not continued.
    if (!this.#suspended || this.#paused) return;
    await this.#options.qmp.execute("cont", {});
    this.#suspended = false;
  }

  [Symbol.dispose](): void {
    this.#stopEvents();
  }

  async #onEvent({ event, data }: QmpEvent): Promise<void> {
    switch (event) {
      case "SHUTDOWN":
        return this.#onShutdown(data as { guest?: boolean; reason?: string });
      case "RESET": {
        const { guest, reason } = data as { guest?: boolean; reason?: string };
        const who = guest ? "reset itself" : `was reset (${reason ?? "from outside"})`;
        return this.#warn("guest-reset", `The guest ${who}; the migration goes on`);
      }
      case "BLOCK_IO_ERROR":
        return await this.#onIoError(data as unknown as IoError);
      case "STOP":
        this.#changes++;
        return await this.#onStop();
      case "RESUME":
        this.#changes++;
        this.#resumes++;
        this.#suspended = false;
        return this.#setPaused(false);
      case "SUSPEND":
      case "WAKEUP":
        this.#changes++;
        this.#asleep = event === "SUSPEND";
        return this.checkAsleep();
    }
  }

  #onShutdown({ guest, reason }: { guest?: boolean; reason?: string }): void {
    const why = reason === undefined ? "" : ` (${reason})`;
    if (guest) this.#fault("guest-shutdown", `The guest shut down${why} during the migration`);
    else this.#fault("source-qemu-gone", `QEMU was told to end${why} during the migration`);
  }

  async #onIoError({ operation, action, reason, ...where }: IoError): Promise<void> {
    if (action === "ignore") return;
    const what = (disk: string) =>
      `The guest could not ${operation === "read" ? "read from" : "write to"} ${disk}` +
      (reason ? `: ${reason}` : "");
    // STOP comes right behind it, before the disk's name is known.
    if (action === "stop") this.#ioError = true;
    const node = where["node-name"] || where.device || "";
    const name = await this.#diskName(node).catch(() => undefined) ?? "one of its disks";
    if (action === "stop") return this.#fault("guest-io-error", `${what(name)}; QEMU stopped it`);
    if (this.#told.size >= MAX_TOLD || this.#told.has(what(name))) return;
    this.#told.add(what(name));
    this.#warn("guest-io-error", `${what(name)}; it was told so and goes on`);
  }

  /** A disk by its node; while it is mirrored QEMU names one of its own there, without a meaning. */
  async #diskName(node: string): Promise<string | undefined> {
    const disks = await listDisks(this.#options.qmp);
    const failed = disks.filter((d) => d.failed);
    const disk = disks.find((d) => d.nodeName === node) ??
      (failed.length === 1 ? failed[0] : undefined);
    return disk && `disk ${disk.name}`;
  }

  async #onStop(): Promise<void> {
    const resumes = this.#resumes;
    const { status } = await this.#options.qmp.execute("query-status", {});
    switch (status) {
      case "io-error":
        // Where it was seen which disk it was, that is told; it is looked up at this moment.
        if (this.#ioError) return;
        return this.#fault("guest-io-error", "An I/O error of a disk stopped the guest");
      case "shutdown":
        return this.#fault("guest-shutdown", "The guest shut down during the migration");
      case "guest-panicked":
        return this.#fault("guest-panicked", "The guest panicked during the migration");
      case "watchdog":
      case "internal-error":
        return this.#fault("guest-stopped", `The guest was stopped by QEMU: ${status}`);
      case "paused":
        // The answer may be heard of after the guest was let run again, by us for one.
        if (this.#suspended || this.#paused || resumes !== this.#resumes) return;
        this.#setPaused(true);
        return this.#warn(
          "guest-paused",
          "Somebody paused the guest; it will stand at the destination until it is continued",
        );
    }
  }

  /** The guest stands for a reason of its own, and is not ours to continue. */
  #fault(code: string, message: string): void {
    this.#setPaused(true);
    this.#options.onFault(new MigrationError("failed", code, "source", message));
  }

  #setPaused(paused: boolean): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#options.onShouldRun?.(!paused);
  }

  #warn(code: string, message: string): void {
    this.#options.report({ event: "warning", code, message });
  }
}

/** The event BLOCK_IO_ERROR. */
interface IoError {
  readonly device?: string;
  readonly "node-name"?: string;
  readonly operation: string;
  readonly action: string;
  readonly reason?: string;
}
