import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import { type QmpClient, QmpTimeoutError, queryMigrate, waitMigration } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";
import type { RamProgress } from "../events.ts";
import { type Carrier, patience } from "../timeouts.ts";

/** How long RAM may take without a byte of progress, ms, beside the time that the connection is away. */
const STALL_MS = 120_000;
/** How long a migration that was given up may take to end, without progress, ms. */
const UNDO_MS = 120_000;
/** States of a migration that is over. Every other one, known or not, means that it goes on. */
const OVER = ["none", "completed", "failed", "cancelled"];

export interface RamOptions {
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The connection that QEMU sends RAM to. */
export interface RamConnection {
  /** The session that carries it; `undefined` when that has ended. */
  readonly carrier: Carrier | undefined;
  /** A round through RAM begins: 1 sends every page, 2 the pages that changed meanwhile, and so on. */
  roundBegan(round: number): void;
  close(): Promise<void>;
}

/** The migration of memory and device state, as the source's QEMU does it. */
export class Ram {
  readonly #qmp: QmpClient;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #connection: RamConnection | undefined;
  #stopped: Promise<void> | undefined;
  /** QEMU was told to go on from pre-switchover, or may have been. */
  #continued = false;

  /** @param connection none where another process had it: the connection has ended with that process. */
  constructor({ qmp, clock, log }: RamOptions, connection?: RamConnection) {
    this.#qmp = qmp;
    this.#clock = clock;
    this.#log = log;
    this.#connection = connection;
  }

  /** Starts it; QEMU connects to `uri`, such as `unix:/run/x/ram.sock`. */
  async start(uri: string, signal: AbortSignal): Promise<void> {
    const stopEvents = this.#qmp.onEvent(({ event, data }) => {
      if (event === "MIGRATION_PASS") this.#connection?.roundBegan(Number(data.pass));
    });
    const begun = this.#qmp.execute("migrate", { uri });
    this.#stopped = this.#wait("pre-switchover", begun, signal).finally(stopEvents);
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
    signal.throwIfAborted();
    this.#continued = true;
    const begun = this.#qmp.execute("migrate-continue", { state: "pre-switchover" }, { signal })
      .catch((error) => {
        // QEMU answers nothing while it sends what is left of RAM, for minutes where it may take that
        // long. The wait below has its own end.
        if (!(error instanceof QmpTimeoutError)) throw error;
      });
    // The guest stands still: no question that QEMU would have to answer before it goes on.
    await Promise.all([begun, this.#wait("completed", begun, signal)]);
  }

  /**
   * Brings it to an end where it still goes on, and waits for that.
   *
   * Never `migrate_cancel` from `migrate-continue` on: QEMU before 10.0 may carry it out between two
   * steps of its switchover, gives the disks away all the same, and then lets the guest run, which ends
   * QEMU at the guest's first write (`Assertion !(bs->open_flags & BDRV_O_INACTIVE)`). A connection that
   * closes makes its migration fail in the one place where it takes the disks back.
   */
  async undo(): Promise<void> {
    // First of all: QEMU answers nothing while it waits to send.
    if (this.#continued) await this.#connection?.close();
    const { status } = await queryMigrate(this.#qmp);
    if (OVER.includes(status)) return;
    if (!this.#continued && status !== "device") {
      await this.#qmp.execute("migrate_cancel", {}).catch((error) => {
        this.#log.log("debug", `migrate_cancel: ${messageOf(error)}`);
      });
    }
    await waitMigration(this.#qmp, (status) => OVER.includes(status), {
      stallMs: UNDO_MS,
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
      { ...patience(STALL_MS, () => this.#connection?.carrier), signal, clock: this.#clock, begun },
    );
    if (info.status === wanted) return;
    const reason = info.errorDesc ?? `QEMU's migration ended with status "${info.status}"`;
    throw new MigrationError("failed", "ram-failed", "source", `Memory: ${reason}`);
  }
}
