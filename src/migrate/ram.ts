import { type Clock, type Logger, messageOf } from "../io/mod.ts";
import { type QmpClient, queryMigrate, waitMigration } from "../qmp/mod.ts";
import { MigrationError } from "./errors.ts";
import type { RamProgress } from "./events.ts";

/** How long the memory may take without a byte of progress, ms. */
const STALL_MS = 120_000;
/** States of a migration that is over. Every other one, known or not, means that it goes on. */
const OVER = ["none", "completed", "failed", "cancelled"];

/** The migration of memory and device state, as the source's QEMU does it. */
export class Ram {
  readonly #qmp: QmpClient;
  readonly #clock: Clock;
  readonly #log: Logger;
  #stopped: Promise<void> | undefined;

  constructor(qmp: QmpClient, clock: Clock, log: Logger) {
    this.#qmp = qmp;
    this.#clock = clock;
    this.#log = log;
  }

  /** Starts it; QEMU connects to `uri`, such as `unix:/run/x/ram.sock`. */
  async start(uri: string, signal: AbortSignal): Promise<void> {
    const begun = this.#qmp.execute("migrate", { uri });
    this.#stopped = this.#wait("pre-switchover", begun, signal);
    this.#stopped.catch(() => {});
    await begun;
  }

  /** How far it is; `null` before it has begun. */
  async progress(): Promise<RamProgress | null> {
    const { ram } = await queryMigrate(this.#qmp);
    if (!ram) return null;
    return {
      transferred: ram.transferred,
      remaining: ram.remaining,
      total: ram.total,
      dirtyRate: ram.dirtyRateBytes,
      iteration: ram.iteration,
    };
  }

  /**
   * Waits until the guest is stopped for the switchover, with its disks still the source's. To be
   * called once it was started.
   */
  async preSwitchover(): Promise<void> {
    await this.#stopped;
  }

  /** Lets QEMU go on from pre-switchover and waits until it has given everything away. */
  async complete(signal: AbortSignal): Promise<void> {
    const begun = this.#qmp.execute("migrate-continue", { state: "pre-switchover" }, { signal });
    // The guest stands still: no question that QEMU would have to answer before it goes on.
    await Promise.all([begun, this.#wait("completed", begun, signal)]);
  }

  /** Cancels it where it still goes on, and waits for its end. */
  async undo(): Promise<void> {
    const { status } = await queryMigrate(this.#qmp);
    if (OVER.includes(status)) return;
    await this.#qmp.execute("migrate_cancel", {}).catch((error) => {
      this.#log.log("debug", `migrate_cancel: ${messageOf(error)}`);
    });
    await waitMigration(this.#qmp, (status) => OVER.includes(status), {
      stallMs: STALL_MS,
      clock: this.#clock,
    });
  }

  /**
   * To be called in the same turn as what leads to `wanted`.
   *
   * @param begun its answer.
   */
  async #wait(wanted: string, begun: Promise<unknown>, signal: AbortSignal): Promise<void> {
    const info = await waitMigration(
      this.#qmp,
      (status) => status === wanted || OVER.includes(status),
      { stallMs: STALL_MS, signal, clock: this.#clock, begun },
    );
    if (info.status === wanted) return;
    const reason = info.errorDesc ?? `QEMU's migration ended with status "${info.status}"`;
    throw new MigrationError("failed", "ram-failed", "source", `Memory: ${reason}`);
  }
}
