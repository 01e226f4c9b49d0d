import { type Logger, messageOf } from "../../io/mod.ts";
import { listDisks, type QmpClient, type QmpEvent } from "../../qmp/mod.ts";
import { type ErrorCode, MigrationError } from "../errors.ts";
import type { Report } from "../events.ts";
import type { WarningCode } from "../warning_table.ts";

/** The migration, as far as the watch of its guest needs it. */
export interface GuestWatchContext {
  readonly qmp: QmpClient;
  readonly report: Report;
  readonly log: Logger;
  /** A guest that sleeps survives the migration by both QEMUs. */
  readonly asleepCanGo: boolean;
  /** The destination may run the guest: what QEMU still pauses or resumes here is not the guest any more. */
  readonly isHandedOver: boolean;
  /** The guest cannot be migrated in its present state. */
  fault(error: MigrationError): void;
  /** Its owner paused or resumed the guest, or it stopped by itself. */
  shouldRunChanged(shouldRun: boolean): void;
}

/** The message for a guest that sleeps and would not survive the migration. */
export const ASLEEP = 'The guest sleeps (state "suspended"), and QEMU before 9.0 cannot migrate ' +
  "a sleeping guest. Wake it (system_wakeup) and migrate again";

/** Disk errors that are reported; later ones are left out. */
const MAX_REPORTED = 10;

/**
 * Watches the guest at the source during the migration, from construction to disposal: disk errors,
 * shutdown, reset, panic, sleep, and an owner who pauses or resumes it. Uses QEMU's events SHUTDOWN,
 * RESET, BLOCK_IO_ERROR, STOP, RESUME, SUSPEND and WAKEUP.
 */
export class GuestWatch implements Disposable {
  readonly #context: GuestWatchContext;
  readonly #stopEvents: () => void;
  readonly #reported = new Set<string>();
  #paused: boolean;
  #suspended = false;
  /** Number of RESUME events. */
  #resumes = 0;
  #ioError = false;
  #asleep = false;
  /** Number of events that changed the run state. */
  #changes = 0;

  /** @param shouldRun whether the guest must run when the migration is over, as known so far. */
  constructor(shouldRun: boolean, context: GuestWatchContext) {
    this.#context = context;
    this.#paused = !shouldRun;
    this.#stopEvents = context.qmp.onEvent((event) => {
      this.#onEvent(event).catch((error) => {
        // The owner of the QMP client reports its end.
        context.log.log("debug", `${event.event}: ${messageOf(error)}`);
      });
    });
  }

  /** Whether the guest must run when the migration is over: only vmferry has paused it, if at all. */
  get shouldRun(): boolean {
    return !this.#paused;
  }

  /**
   * Queries the guest's state, which may have changed before the watch began.
   *
   * @param shouldRun derives from QEMU's run state whether the guest must run.
   * @throws {QmpError | QmpCommandError} when QEMU does not answer.
   */
  async look(shouldRun: (status: string) => boolean): Promise<void> {
    const before = this.#changes;
    const { status } = await this.#context.qmp.execute("query-status", {});
    // An event that came meanwhile may be newer than the answer.
    if (this.#changes !== before) return;
    this.#asleep = status === "suspended";
    this.#setPaused(!shouldRun(status));
    this.checkAsleep();
  }

  /** Reports a sleeping guest as a fault; call it again when `asleepCanGo` may have changed. */
  checkAsleep(): void {
    if (!this.#asleep || this.#context.asleepCanGo) return;
    this.#context.fault(new MigrationError("failed", "guest-asleep", "source", ASLEEP));
  }

  /** The guest sleeps (S3), also while it is paused for the switchover. */
  get asleep(): boolean {
    return this.#asleep;
  }

  /** True while {@link suspend} keeps the guest paused. */
  get suspended(): boolean {
    return this.#suspended;
  }

  /** Pauses the guest (QMP `stop`); it must run again when the migration is over. */
  async suspend(): Promise<void> {
    if (this.#paused || this.#suspended) return;
    this.#suspended = true;
    await this.#context.qmp.execute("stop", {});
  }

  /** Takes the pause of a guest that must run for that of an earlier process, as if {@link suspend} had made it. */
  async adoptPause(): Promise<void> {
    const before = this.#changes;
    const { status } = await this.#context.qmp.execute("query-status", {});
    if (this.#changes === before) this.#suspended = status === "paused" && !this.#paused;
  }

  /** Resumes the guest (QMP `cont`) after {@link suspend}, unless its owner already has. */
  async letRun(): Promise<void> {
    // A guest that has stopped by itself meanwhile is not vmferry's to resume.
    if (!this.#suspended || this.#paused) return;
    await this.#context.qmp.execute("cont", {});
    this.#suspended = false;
  }

  [Symbol.dispose](): void {
    this.#stopEvents();
  }

  async #onEvent({ event, data }: QmpEvent): Promise<void> {
    if (this.#context.isHandedOver && (event === "STOP" || event === "RESUME")) return;
    switch (event) {
      case "SHUTDOWN":
        return this.#onShutdown(data as { guest?: boolean; reason?: string });
      case "RESET": {
        const { guest, reason } = data as { guest?: boolean; reason?: string };
        const who = guest ? "reset itself" : `was reset (${reason ?? "from outside"})`;
        return this.#warn("guest-reset", `The guest ${who}; the migration continues`);
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
    else this.#fault("source-qemu-gone", `QEMU was asked to end${why} during the migration`);
  }

  async #onIoError({ operation, action, reason, ...where }: IoError): Promise<void> {
    if (action === "ignore") return;
    const what = (disk: string) =>
      `The guest could not ${operation === "read" ? "read from" : "write to"} ${disk}` +
      (reason ? `: ${reason}` : "");
    // STOP follows at once, before the disk's name is known.
    if (action === "stop") this.#ioError = true;
    const node = where["node-name"] || where.device || "";
    const name = await this.#diskName(node).catch(() => undefined) ?? "one of its disks";
    if (action === "stop") return this.#fault("guest-io-error", `${what(name)}; QEMU paused it`);
    if (this.#reported.size >= MAX_REPORTED || this.#reported.has(what(name))) return;
    this.#reported.add(what(name));
    this.#warn("guest-io-error", `${what(name)}; QEMU reported the error to it, and it runs on`);
  }

  /** A disk by its node; during a mirror the event names a node of QEMU's own, which identifies no disk. */
  async #diskName(node: string): Promise<string | undefined> {
    const disks = await listDisks(this.#context.qmp);
    const failed = disks.filter((d) => d.failed);
    const disk = disks.find((d) => d.nodeName === node) ??
      (failed.length === 1 ? failed[0] : undefined);
    return disk && `disk ${disk.name}`;
  }

  async #onStop(): Promise<void> {
    const resumes = this.#resumes;
    const { status } = await this.#context.qmp.execute("query-status", {});
    switch (status) {
      case "io-error":
        // BLOCK_IO_ERROR came first: its handler reports the fault, with the disk's name.
        if (this.#ioError) return;
        return this.#fault("guest-io-error", "An I/O error of a disk stopped the guest");
      case "shutdown":
        return this.#fault("guest-shutdown", "The guest shut down during the migration");
      case "guest-panicked":
        return this.#fault("guest-panicked", "The guest panicked during the migration");
      case "watchdog":
      case "internal-error":
        return this.#fault("guest-stopped", `QEMU stopped the guest: its state is "${status}"`);
      case "paused":
        // The answer may arrive after the guest was resumed again, such as by vmferry.
        if (this.#suspended || this.#paused || resumes !== this.#resumes) return;
        this.#setPaused(true);
        return this.#warn(
          "guest-paused",
          "Somebody paused the guest during the migration. It arrives paused: " +
            "resume it at the destination with 'cont'",
        );
    }
  }

  /** The guest stopped by itself, and is not vmferry's to resume. */
  #fault(code: ErrorCode, message: string): void {
    this.#setPaused(true);
    this.#context.fault(new MigrationError("failed", code, "source", message));
  }

  #setPaused(paused: boolean): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#context.shouldRunChanged(!paused);
  }

  #warn(code: WarningCode, message: string): void {
    this.#context.report({ event: "warning", code, message });
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
