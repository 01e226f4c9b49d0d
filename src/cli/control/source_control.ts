import { type Logger, messageOf, systemClock } from "../../io/mod.ts";
import {
  type LadderChange,
  LadderError,
  Limits,
  MigrationError,
  type Phase,
  type Report,
  TOO_LATE,
} from "../../migrate/mod.ts";
import { listenUnix } from "../../transport/mod.ts";
import { MigrationTimeout, type TimeoutAction } from "../args/timeout.ts";
import { onSignals } from "../signals.ts";
import { controlSource } from "./controlled.ts";
import type { SetChange } from "./protocol.ts";
import { ControlServer } from "./server.ts";
import { type ControlOutput, type Identity, StatusBoard } from "./status_board.ts";

/** The options that every source has. */
export interface SourceLimits {
  /** Bytes per second; `null`: no limit. */
  readonly bandwidth: number | null;
  readonly maxDowntimeMs: number;
  /** 0: as long as it takes. */
  readonly timeoutMs: number;
  readonly timeoutAction: TimeoutAction;
}

/** A migration whose guest can be paused for the rest of the copy. */
interface Suspendable {
  suspend(why: string): void;
  /** Absent for a domain: libvirt drives its QEMU. */
  setLadder?(change: LadderChange): Promise<void>;
}

/** How a user stops, limits and watches a source: by signals, `--timeout` and the control socket. */
export class SourceControl implements AsyncDisposable {
  /** What `vmferry set` changes. */
  readonly limits: Limits;
  /** Reports an event, and notes it for `status`. */
  readonly report: Report;
  readonly #options: SourceLimits;
  readonly #log: Logger;
  readonly #identify: NonNullable<ControlOutput["identify"]>;
  readonly #board: StatusBoard;
  readonly #stop = new AbortController();
  #migration: Suspendable | undefined;
  /** A pause that comes before there is a migration is not forgotten. */
  #pauseAsked: string | undefined;
  #postcopyAsked: string | undefined;
  #signals: Disposable | undefined;
  #timeout: MigrationTimeout | undefined;
  readonly #servers: ControlServer[] = [];

  /** Begins nothing yet. */
  constructor(options: SourceLimits, output: ControlOutput) {
    this.#options = options;
    this.#log = output.log;
    this.#identify = (identity) => {
      output.identify?.(identity);
      output.history?.identify(identity);
    };
    this.#board = new StatusBoard(output.history);
    this.limits = new Limits(options.bandwidth, options.maxDowntimeMs);
    this.report = this.#board.noting(output.report, output.log);
  }

  /** Aborted when the user or the timeout ends the migration; its reason is a `MigrationError`. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Where the migration is; `null` before it has begun. */
  get phase(): Phase | null {
    return this.#board.phase;
  }

  /** Signals cancel from now on. Before, a signal ends the process at once. */
  begin(): void {
    const { timeoutAction } = this.#options;
    this.#signals = onSignals((name) => this.#cancel(name));
    this.#timeout = new MigrationTimeout(systemClock, 0, timeoutAction, (action, text) => {
      if (action === "pause") return this.#pause(text);
      if (action === "postcopy") return void this.#postcopy(text);
      this.#stop.abort(new MigrationError("failed", "timeout", "source", text));
    });
  }

  /** It is its turn: the timeout runs from now on, unless the user has given it another one meanwhile. */
  beginTimeout(): void {
    const { timeoutMs } = this.#options;
    if (this.#timeout?.leftMs === null) this.#timeout.set({ timeoutMs });
  }

  /** Serves `status`, `set` and `cancel` on the socket at `path`, and no longer on an earlier one. */
  async serve(path: string, identity: Identity): Promise<void> {
    this.#identify(identity);
    const end = {
      timeout: this.#timeout!,
      pause: (why: string) => this.#pause(why),
      steps: (change: LadderChange) => this.#steps(change),
    };
    const controlled = controlSource(this.#board, identity, this.limits, this.#stop, end);
    const set = async (change: SetChange) => {
      const limits = await controlled.set(change);
      // Another person may read the migration's log than the one who has run `vmferry set`.
      this.report({ event: "limits", ...limits });
      return limits;
    };
    const server = new ControlServer(
      await listenUnix(path),
      { ...controlled, set },
      systemClock,
      this.#log,
    );
    for (const earlier of this.#servers) earlier.stopAccepting();
    this.#servers.push(server);
  }

  /** Pauses are for this migration. */
  drive(migration: Suspendable): void {
    this.#migration = migration;
    if (this.#pauseAsked !== undefined) migration.suspend(this.#pauseAsked);
    if (this.#postcopyAsked !== undefined) void this.#postcopy(this.#postcopyAsked);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) await server.close();
    this.#timeout?.[Symbol.dispose]();
    this.#signals?.[Symbol.dispose]();
  }

  #cancel(name: string): void {
    if (this.#stop.signal.aborted) return;
    if (this.#board.isLate) {
      return this.report({ event: "warning", code: "too-late", message: TOO_LATE });
    }
    const message = `Cancelled by ${name}`;
    this.#stop.abort(new MigrationError("cancelled", "cancelled", "source", message));
  }

  async #steps(change: LadderChange): Promise<void> {
    if (!this.#migration) throw new LadderError("The migration has not begun yet: try again");
    if (!this.#migration.setLadder) {
      throw new LadderError(
        "libvirt drives the QEMU of a domain: give --auto-converge or --postcopy behind --, and use " +
          "'virsh migrate-postcopy'",
      );
    }
    await this.#migration.setLadder(change);
  }

  /** Post-copy as soon as RAM crosses; where it is not possible, the migration fails. */
  async #postcopy(why: string): Promise<void> {
    if (!this.#migration) return void (this.#postcopyAsked = why);
    try {
      await this.#steps({ postcopy: "when-ram" });
    } catch (error) {
      const text = `${why}. ${messageOf(error)}`;
      this.#stop.abort(new MigrationError("failed", "timeout", "source", text));
    }
  }

  #pause(why: string): void {
    if (this.#migration) this.#migration.suspend(why);
    else this.#pauseAsked = why;
  }
}
