import { type Logger, systemClock } from "../../io/mod.ts";
import {
  type ErrorCode,
  MigrationError,
  type Report,
  type Side,
  TOO_LATE,
} from "../../migrate/mod.ts";
import { listenUnix } from "../../transport/mod.ts";
import { isSourcesToReport } from "../output/events.ts";
import { onSignals } from "../signals.ts";
import { controlDestination } from "./controlled.ts";
import { ControlServer } from "./server.ts";
import { type ControlOutput, type Identity, StatusBoard } from "./status_board.ts";

/** A destination that waits for its source, or serves it. */
interface Cancellable {
  /** Its source's session; `undefined` while it waits for one. */
  readonly source: unknown;
  cancel(reason: MigrationError): Promise<void>;
}

/** How a user stops and watches a destination: by signals, `--timeout` and the control socket. */
export class DestinationControl implements AsyncDisposable {
  /** Reports an event, unless a source at the other end of a pipe does, and notes it for `status`. */
  readonly report: Report;
  /** A source at the other end of the pipe shows what this end prints, beside its own report. */
  sourceReports = false;
  readonly #log: Logger;
  readonly #identify: NonNullable<ControlOutput["identify"]>;
  readonly #board: StatusBoard;
  #migration: Cancellable | undefined;
  #cancelled: MigrationError | undefined;
  #signals: Disposable | undefined;
  #stopTimer: () => void = () => {};
  #server: ControlServer | undefined;

  /** Begins nothing yet. */
  constructor(output: ControlOutput) {
    const { log } = output;
    this.#log = log;
    this.#identify = (identity) => {
      output.identify?.(identity);
      output.history?.identify(identity);
    };
    this.#board = new StatusBoard(output.history);
    this.report = this.#board.noting((event) => {
      if (this.sourceReports && isSourcesToReport(event, log)) return;
      output.report(event);
    }, log);
  }

  /** Signals cancel from now on: before anything is made, so that a signal always undoes it. */
  begin(): void {
    this.#signals = onSignals((name) => {
      if (this.#board.isLate) {
        return this.report({ event: "warning", code: "too-late", message: TOO_LATE });
      }
      const message = `Cancelled by ${name} at the destination`;
      this.#cancelled = new MigrationError("cancelled", "cancelled", "destination", message);
      void this.#migration?.cancel(this.#cancelled);
    });
  }

  /** Signals are for this migration. One that came before cancels it with {@link serve}. */
  drive(migration: Cancellable): void {
    this.#migration = migration;
  }

  /** Serves `status` and `cancel` on the socket at `path`. */
  async serve(path: string, identity: Identity): Promise<void> {
    this.#identify(identity);
    this.#server = new ControlServer(
      await listenUnix(path),
      controlDestination(this.#board, identity, (reason) => void this.#migration?.cancel(reason)),
      systemClock,
      this.#log,
    );
    if (this.#cancelled) void this.#migration?.cancel(this.#cancelled);
  }

  /**
   * Waits for a source.
   *
   * @param over no further source can come.
   * @param timeoutMs after this the wait ends; 0: never.
   */
  awaitSource(over: Promise<void>, timeoutMs: number): void {
    over.then(() => this.#giveUp("source-gone", "source", "The source left without a migration"));
    if (timeoutMs === 0) return;
    this.#stopTimer = systemClock.after(timeoutMs, () => {
      this.#giveUp("timeout", "destination", `No source came within ${timeoutMs / 1000} s`);
    });
  }

  /** The migration is over: the wait for a source, if it is one still, ends nothing. */
  stopWaiting(): void {
    this.#stopTimer();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopWaiting();
    await this.#server?.close();
    this.#signals?.[Symbol.dispose]();
  }

  #giveUp(code: ErrorCode, side: Side, message: string): void {
    if (this.#migration?.source) return;
    void this.#migration?.cancel(new MigrationError("failed", code, side, message));
  }
}
