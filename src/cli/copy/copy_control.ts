import { type Logger, messageOf, systemClock } from "../../io/mod.ts";
import { MigrationError, type Phase, type Report, type Side } from "../../migrate/mod.ts";
import { listenUnix } from "../../transport/mod.ts";
import { ControlError } from "../control/protocol.ts";
import { type Controlled, ControlServer } from "../control/server.ts";
import { type Identity, StatusBoard } from "../control/status_board.ts";
import type { CopyEvent } from "../output/events.ts";
import type { RunHistory } from "../report/history.ts";

/** An end of a copy, as {@link controlCopy} ends it. */
export interface CopyEnd {
  /** Ends it. */
  readonly cancel: (reason: MigrationError) => void;
  /** Bytes a second; `null`: no limit, or not this end's. */
  readonly bandwidth: number | null;
  /** Of `--host-bandwidth`, bytes a second; `null`: there is none. */
  readonly share?: () => number | null;
}

/** An end of a copy as something that can be controlled. */
export function controlCopy(board: StatusBoard, identity: Identity, end: CopyEnd): Controlled {
  let ending: string | null = null;
  return {
    ended: board.ended,
    report: () => board.reportData,
    status: () => {
      const share = end.share?.() ?? null;
      return board.status(identity, {
        ...{ bandwidth: end.bandwidth, maxDowntimeMs: null, ending },
        ...(share === null ? {} : { share }),
      });
    },
    set() {
      const message =
        "The bandwidth of a copy stays. Cancel it, and give the same command with --resume and " +
        "another --bandwidth";
      return Promise.reject(new ControlError("not-here", message));
    },
    cancel() {
      if (board.over) throw new ControlError("too-late", "The copy has ended");
      if (ending !== null) return;
      const reason = new MigrationError(
        ...["cancelled", "cancelled", identity.role] as const,
        `Cancelled by 'vmferry cancel' at the ${identity.role}`,
      );
      ending = messageOf(reason);
      end.cancel(reason);
    },
  };
}

/** How a user watches and cancels an end of a copy from outside: the control socket. */
export class CopyControl implements AsyncDisposable {
  /** Reports an event, and notes it for `status`. */
  readonly report: Report;
  readonly #board: StatusBoard;
  readonly #history: RunHistory | undefined;
  readonly #log: Logger;
  readonly #servers: ControlServer[] = [];

  /** Serves nothing yet. `history` gets each event. */
  constructor(report: Report, log: Logger, history?: RunHistory) {
    this.#board = new StatusBoard(history);
    this.#history = history;
    this.report = this.#board.noting(report, log);
    this.#log = log;
  }

  /** Where the copy is; `null` before it has begun. */
  get phase(): Phase | null {
    return this.#board.phase;
  }

  /**
   * Serves `status` and `cancel` on the socket `path` in `runDir`, and no longer on an earlier one. `images`: their
   * paths; empty at a destination.
   */
  async serve(
    path: string,
    of: { readonly role: Side; readonly runDir: string; readonly images: readonly string[] },
    end: CopyEnd,
  ): Promise<void> {
    const { role, runDir, images } = of;
    const guest = { name: null, uuid: null };
    const identity = { role, pid: Deno.pid, runDir, qmp: "", copy: images, guest };
    this.#history?.identify(identity);
    const controlled = controlCopy(this.#board, identity, end);
    const server = new ControlServer(await listenUnix(path), controlled, systemClock, this.#log);
    for (const earlier of this.#servers) earlier.stopAccepting();
    this.#servers.push(server);
  }

  /** A destination has its source. */
  begin(): void {
    this.#board.note({ event: "phase", phase: "copy" });
  }

  /** It is over: who waits for that gets the event. */
  end(event: CopyEvent): void {
    this.#board.note(event);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) await server.close();
  }
}
