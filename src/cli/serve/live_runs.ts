import { messageOf } from "../../io/mod.ts";
import { matching, type Wanted } from "../control/choice.ts";
import { ask, findMigrations, type Found } from "../control/client.ts";
import { ControlError } from "../control/protocol.ts";
import type { ReportData } from "../report/data.ts";

/** How long a run may take to say how it is, ms. */
const ASK_MS = 5_000;
/** How long a run may be waited for, ms: a day, after which it is asked again. */
const FOLLOW_MS = 86_400_000;
/** An answer younger than this serves every browser, ms. */
const FRESH_MS = 400;
/** Runs that are followed, and those of which the end is kept. */
const MOST_RUNS = 32;

/** A run as the server shows it. */
export interface LiveRun {
  /** Its process. */
  readonly pid: number;
  readonly data: ReportData;
  /** Why it has no data any more: its process has ended, or does not answer. */
  readonly gone?: string;
}

/** The runs of this host, with what their processes answered last. */
export class LiveRuns {
  readonly #base: string;
  readonly #wanted: Wanted;
  readonly #runs = new Map<string, LiveRun>();
  readonly #followed = new Set<string>();
  #looking: Promise<void> | undefined;
  #lookedAt = -Infinity;

  /** @param base the directory of the runs. */
  constructor(base: string, wanted: Wanted) {
    [this.#base, this.#wanted] = [base, wanted];
  }

  /** Looks, unless somebody did just now. The latest run comes last. */
  async all(): Promise<readonly LiveRun[]> {
    if (performance.now() - this.#lookedAt > FRESH_MS) {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
        this.#lookedAt = performance.now();
      });
      await this.#looking;
    }
    return [...this.#runs.values()];
  }

  async #look(): Promise<void> {
    const { found } = await findMigrations(this.#base);
    const fitting = matching(found, this.#wanted).slice(-MOST_RUNS);
    await Promise.all(fitting.map(async (run) => {
      const { pid } = run.status;
      try {
        const data = await ask(run.socket, { command: "report" }, ASK_MS) as ReportData;
        // Its end may have come first.
        if (!this.#runs.get(run.socket)?.data.result) this.#keep(run.socket, { pid, data });
        this.#follow(run);
      } catch (error) {
        this.#note(run, error);
      }
    }));
    const sockets = fitting.map(({ socket }) => socket);
    for (const [socket, run] of this.#runs) {
      if (sockets.includes(socket) || run.gone !== undefined || run.data.result) continue;
      this.#runs.set(socket, { ...run, gone: "Its process has ended or was killed" });
    }
  }

  /** The result comes while the process ends: nobody could ask for it later. */
  #follow({ socket, status: { pid } }: Found): void {
    if (this.#followed.has(socket) || this.#followed.size >= MOST_RUNS) return;
    this.#followed.add(socket);
    ask(socket, { command: "report", atEnd: true }, FOLLOW_MS)
      .then((data) => this.#keep(socket, { pid, data: data as ReportData }))
      // A process that was killed: the next look finds that.
      .catch(() => {})
      .finally(() => this.#followed.delete(socket));
  }

  #note({ socket }: Found, error: unknown): void {
    const run = this.#runs.get(socket);
    if (!run || run.data.result) return;
    const gone = error instanceof ControlError && error.code === "bad-request"
      ? "Its vmferry is older and gives no report"
      : messageOf(error);
    this.#keep(socket, { ...run, gone });
  }

  #keep(socket: string, run: LiveRun): void {
    this.#runs.delete(socket);
    this.#runs.set(socket, run);
    for (const old of [...this.#runs.keys()].slice(0, -MOST_RUNS)) this.#runs.delete(old);
  }
}
