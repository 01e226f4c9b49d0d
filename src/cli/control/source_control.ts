import { type Logger, systemClock } from "../../io/mod.ts";
import { Limits, MigrationError, type Report, TOO_LATE } from "../../migrate/mod.ts";
import { listenUnix } from "../../transport/mod.ts";
import { MigrationTimeout, type TimeoutAction } from "../args/timeout.ts";
import { onSignals } from "../signals.ts";
import { controlSource } from "./controlled.ts";
import { ControlServer } from "./server.ts";
import { type Identity, StatusBoard } from "./status_board.ts";

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
}

/** How a user stops, limits and watches a source: by signals, `--timeout` and the control socket. */
export class SourceControl implements AsyncDisposable {
  /** What `vmferry set` changes. */
  readonly limits: Limits;
  /** Reports an event, and notes it for `status`. */
  readonly report: Report;
  readonly #options: SourceLimits;
  readonly #log: Logger;
  readonly #board = new StatusBoard();
  readonly #stop = new AbortController();
  #migration: Suspendable | undefined;
  /** A pause that comes before there is a migration is not forgotten. */
  #pauseAsked: string | undefined;
  #signals: Disposable | undefined;
  #timeout: MigrationTimeout | undefined;
  #server: ControlServer | undefined;

  /** Begins nothing yet. */
  constructor(options: SourceLimits, output: { readonly report: Report; readonly log: Logger }) {
    this.#options = options;
    this.#log = output.log;
    this.limits = new Limits(options.bandwidth, options.maxDowntimeMs);
    this.report = this.#board.noting(output.report);
  }

  /** Aborted when the user or the timeout ends the migration; its reason is a `MigrationError`. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Signals cancel from now on, and the timeout runs. Before, a signal ends the process at once. */
  begin(): void {
    const { timeoutMs, timeoutAction } = this.#options;
    this.#signals = onSignals((name) => this.#cancel(name));
    this.#timeout = new MigrationTimeout(systemClock, timeoutMs, timeoutAction, (action, text) => {
      if (action === "pause") return this.#pause(text);
      this.#stop.abort(new MigrationError("failed", "timeout", "source", text));
    });
  }

  /** Serves `status`, `set` and `cancel` on the socket at `path`. */
  async serve(path: string, identity: Identity): Promise<void> {
    const end = { timeout: this.#timeout!, pause: (why: string) => this.#pause(why) };
    this.#server = new ControlServer(
      await listenUnix(path),
      controlSource(this.#board, identity, this.limits, this.#stop, end),
      systemClock,
      this.#log,
    );
  }

  /** Pauses are for this migration. */
  drive(migration: Suspendable): void {
    this.#migration = migration;
    if (this.#pauseAsked !== undefined) migration.suspend(this.#pauseAsked);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.close();
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

  #pause(why: string): void {
    if (this.#migration) this.#migration.suspend(why);
    else this.#pauseAsked = why;
  }
}
