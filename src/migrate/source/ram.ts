import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import { type QmpClient, QmpTimeoutError, queryMigrate, waitMigration } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";
import type { RamProgress } from "../events.ts";
import { type Carrier, patience } from "../timeouts.ts";

/** How long RAM may take without progress, ms, in addition to the time that the connection is down. */
const STALL_MS = 120_000;
/** How long a cancelled migration may take to end, without progress, ms. */
const UNDO_MS = 120_000;
/** Statuses of a migration that is over. With any other one, known or not, it still runs. */
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

/** The migration of RAM and device state by the source's QEMU. */
export class Ram {
  readonly #qmp: QmpClient;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #connection: RamConnection | undefined;
  #stopped: Promise<void> | undefined;
  /** QEMU got `migrate-continue`, or may have got it. */
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

  /** The progress; `null` before it has begun. */
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
   * Waits until QEMU has paused the guest for the switchover; the disks are still the source's. Call it after
   * {@link start}.
   */
  async preSwitchover(): Promise<void> {
    await this.#stopped;
  }

  /** Has QEMU continue from pre-switchover, and waits until it has sent everything. */
  async complete(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#continued = true;
    const begun = this.#qmp.execute("migrate-continue", { state: "pre-switchover" }, { signal })
      .catch((error) => {
        // QEMU answers nothing while it sends the rest of RAM, which may take minutes. The wait below has
        // a deadline of its own.
        if (!(error instanceof QmpTimeoutError)) throw error;
      });
    // The guest is paused: no query now, QEMU would answer it first.
    await Promise.all([begun, this.#wait("completed", begun, signal)]);
  }

  /**
   * Ends the migration if it still runs, and waits for its end.
   *
   * Never `migrate_cancel` from `migrate-continue` on: QEMU before 10.0 may carry it out between two
   * steps of its switchover: it inactivates the disks all the same, and then resumes the guest, whose first
   * write ends QEMU (`Assertion !(bs->open_flags & BDRV_O_INACTIVE)`). Closing the
   * connection makes the migration fail in the one place where QEMU activates the disks again.
   */
  async undo(): Promise<void> {
    // Before any command: QEMU answers nothing while it waits to send.
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
   * Waits for the status `wanted`. Call it in the same turn as the command that leads to it.
   *
   * @param begun the command's answer.
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
