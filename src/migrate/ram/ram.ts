import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import {
  MIGRATION_OVER,
  type QmpClient,
  QmpTimeoutError,
  queryMigrate,
  waitMigration,
} from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";
import { inPostcopy, POSTCOPY_PAUSED, PostcopyStart } from "../postcopy/mod.ts";
import type { PostcopyChoice } from "../ram_choices.ts";
import type { RamProgress } from "../events.ts";
import { type Carrier, patience } from "../timeouts.ts";
import { notInactivated } from "./not_inactivated.ts";

/** How long RAM may take without progress, ms, in addition to the time that the connection is down. */
const STALL_MS = 120_000;
/** How long QEMU may take to cancel by itself, ms. */
const CANCEL_MS = 1000;
/** How long a cancelled migration may take to end, without progress, ms. */
const UNDO_MS = 120_000;

export interface RamOptions {
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** When to start post-copy; absent: this migration has none. */
  readonly postcopy?: PostcopyChoice | undefined;
  /** Ends a post-copy whose guest has never run at the destination, so that it can run here again. */
  readonly takeBack: () => Promise<unknown>;
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
  #connection: RamConnection | undefined;
  readonly #takeBack: () => Promise<unknown>;
  readonly #postcopy: PostcopyStart | undefined;
  #stopped: Promise<unknown> | undefined;
  /** QEMU got `migrate-continue`, or may have got it. */
  #continued = false;
  /** QEMU has said that all of RAM has crossed. */
  #crossed = false;

  /** @param connection none where another process had it: the connection has ended with that process. */
  constructor(options: RamOptions, connection?: RamConnection) {
    const { qmp, clock, log, postcopy } = options;
    this.#qmp = qmp;
    this.#clock = clock;
    this.#log = log;
    this.#connection = connection;
    this.#takeBack = options.takeBack;
    if (postcopy) this.#postcopy = new PostcopyStart({ qmp, clock, log, choice: postcopy });
  }

  /**
   * Has QEMU go on by post-copy from now on, where this migration may; nothing where it has stopped the guest.
   *
   * @returns whether QEMU will.
   */
  async startPostcopy(): Promise<boolean> {
    return await this.#postcopy?.start() ?? false;
  }

  /** Starts it; QEMU connects to `uri`, such as `unix:/run/x/ram.sock`. */
  async start(uri: string, signal: AbortSignal): Promise<void> {
    const stopEvents = this.#qmp.onEvent(({ event, data }) => {
      if (event !== "MIGRATION_PASS") return;
      const pass = Number(data.pass);
      this.#connection?.roundBegan(pass);
      this.#postcopy?.passBegan(pass);
    });
    const begun = this.#qmp.execute("migrate", { uri });
    this.#postcopy?.begin();
    this.#stopped = this.#wait((status) => status === "pre-switchover", begun, signal).finally(
      () => {
        stopEvents();
        this.#postcopy?.stop();
      },
    );
    this.#stopped.catch(() => {});
    await begun;
  }

  /** The progress; `null` before it has begun. */
  async progress(): Promise<RamProgress | null> {
    const { ram, throttlePercent, xbzrle } = await queryMigrate(this.#qmp);
    if (!ram) return null;
    return {
      transferred: ram.transferred,
      remaining: ram.remaining,
      total: ram.total,
      dirtyRate: ram.dirtyRateBytes,
      iteration: ram.iteration,
      ...(throttlePercent === undefined ? {} : { throttlePercent }),
      ...(xbzrle ? { xbzrle } : {}),
    };
  }

  /**
   * Waits until QEMU has paused the guest for the switchover; the disks are still the source's. Call it after
   * {@link start}.
   */
  async preSwitchover(): Promise<void> {
    await this.#stopped;
  }

  /**
   * Has QEMU continue from pre-switchover, and waits until it has sent everything; by post-copy, everything but
   * a part of RAM.
   */
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
    const isDone = (status: string) => status === "completed" || status === "postcopy-active";
    const [, status] = await Promise.all([begun, this.#wait(isDone, begun, signal)]);
    this.#crossed = status === "completed";
  }

  /** A part of RAM is still here: QEMU is in post-copy. Asks no QEMU whose answer is known: it may have ended. */
  async isLeft(): Promise<boolean> {
    if (this.#crossed || !this.#postcopy) return false;
    return inPostcopy((await queryMigrate(this.#qmp)).status);
  }

  /** Has QEMU send the rest of RAM again, to `uri`, after its connection was lost in post-copy. */
  async resume(uri: string, connection: RamConnection): Promise<void> {
    this.#connection = connection;
    await this.#qmp.execute("migrate", { uri, resume: true });
  }

  /**
   * Ends the migration if it still runs, and waits for its end.
   *
   * Never `migrate_cancel` from `migrate-continue` on: QEMU before 10.0 may carry it out between two
   * steps of its switchover: it inactivates the disks all the same, and then resumes the guest, whose first
   * write ends QEMU (`Assertion !(bs->open_flags & BDRV_O_INACTIVE)`). Closing the
   * connection makes the migration fail in the one place where QEMU activates the disks again.
   *
   * @param mayTakeBack the guest has not run at the destination and never will, or it has all of its RAM there: a
   * post-copy is ended too.
   */
  async undo(mayTakeBack: boolean): Promise<void> {
    // Before any command: QEMU answers nothing while it waits to send.
    if (this.#continued) await this.#connection?.close();
    const { status } = await queryMigrate(this.#qmp);
    if (MIGRATION_OVER.includes(status)) return;
    if (inPostcopy(status)) {
      if (mayTakeBack) await this.#takeBack();
      return;
    }
    if (!this.#continued && status !== "device") {
      await this.#qmp.execute("migrate_cancel", {}).catch((error) => {
        this.#log.log("debug", `migrate_cancel: ${messageOf(error)}`);
      });
    }
    // QEMU 7.2 to 11.1 waits for channels of multifd that nobody reads, as while a connection is down.
    const stop = this.#clock.after(CANCEL_MS, () => {
      this.#connection?.close().catch((error) => {
        this.#log.log("debug", `RAM's connection: ${messageOf(error)}`);
      });
    });
    const end = await waitMigration(
      this.#qmp,
      (status) => MIGRATION_OVER.includes(status) || status === POSTCOPY_PAUSED,
      { stallMs: UNDO_MS, clock: this.#clock },
    ).finally(stop);
    if (end.status === POSTCOPY_PAUSED && mayTakeBack) await this.#takeBack();
  }

  /**
   * Waits for a status. Call it in the same turn as the command that leads to it.
   *
   * @param begun the command's answer.
   * @returns the status.
   */
  async #wait(
    isWanted: (status: string) => boolean,
    begun: Promise<unknown>,
    signal: AbortSignal,
  ): Promise<string> {
    const info = await waitMigration(
      this.#qmp,
      (status) => isWanted(status) || MIGRATION_OVER.includes(status) || status === POSTCOPY_PAUSED,
      { ...patience(STALL_MS, () => this.#connection?.carrier), signal, clock: this.#clock, begun },
    );
    if (isWanted(info.status)) return info.status;
    const reason = info.errorDesc ?? `QEMU's migration ended with status "${info.status}"`;
    throw notInactivated(reason) ??
      new MigrationError("failed", "ram-failed", "source", `Memory: ${reason}`);
  }
}
