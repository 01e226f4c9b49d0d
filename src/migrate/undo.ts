import { type Clock, DeadlineError, type Logger, messageOf, withDeadline } from "../io/mod.ts";
import { QmpClosedError } from "../qmp/mod.ts";

/** How long one step of undoing may take, ms: QEMU can be busy, a disk slow. */
export const STEP_MS = 30_000;
/** How long all of them may take together, ms; those that begin later have {@link LEAST_MS} each. */
const ALL_MS = 60_000;
const LEAST_MS = 5_000;

/** What a step of undoing is given beside its work. */
export interface StepOptions {
  /** How long it may take, ms. */
  readonly ms?: number;
  /** It is not about this host's QEMU: nothing here can finish it later. */
  readonly elsewhere?: boolean;
}

/** One thing that was done, and how to take it back. */
interface Step extends StepOptions {
  readonly what: string;
  readonly undo: () => Promise<unknown>;
}

/** What could not be taken back, in words. */
export interface Left {
  /** In this host's QEMU, or of ours on this host: the next command for that QEMU finishes it. */
  readonly here: string[];
  /** On the other host. */
  readonly elsewhere: string[];
}

/**
 * What was done so far, taken back in reverse order. A step that fails or hangs does not keep the
 * others from being taken back.
 */
export class UndoList {
  readonly #clock: Clock;
  readonly #log: Logger;
  #steps: Step[] = [];

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Remembers how to take back what is about to be done or was just done. */
  add(what: string, undo: () => Promise<unknown>, options: StepOptions = {}): void {
    this.#steps.push({ what, undo, ...options });
  }

  /**
   * Takes everything back, last first.
   *
   * @returns what could not be taken back.
   */
  async run(): Promise<Left> {
    const left: Left = { here: [], elsewhere: [] };
    const until = this.#clock.now() + ALL_MS;
    let step: Step | undefined;
    while ((step = this.#steps.pop())) {
      const { what, undo, ms = STEP_MS, elsewhere = false } = step;
      if (this.#log.debugEnabled) this.#log.log("debug", `undo: ${what}`);
      try {
        const leftMs = Math.max(LEAST_MS, until - this.#clock.now());
        await withDeadline(this.#clock, Math.min(ms, leftMs), `undoing: ${what}`, undo());
      } catch (error) {
        // With QEMU gone, so is what was made in it; that it went is told elsewhere.
        const gone = error instanceof QmpClosedError;
        const why = error instanceof DeadlineError ? "not done in time" : messageOf(error);
        if (!gone && elsewhere) left.elsewhere.push(why);
        else if (!gone) left.here.push(`${what} (${why})`);
        this.#log.log(gone ? "debug" : "warning", `could not undo: ${what}: ${messageOf(error)}`);
      }
    }
    return left;
  }
}

/** What was left on this side, for people, with what finishes it. */
export function leftHere(side: "source" | "destination", left: readonly string[]): string[] {
  if (left.length === 0) return [];
  const command = side === "source" ? "migrate" : "receive";
  return [
    `Not undone at the ${side}: ${left.join("; ")}. The next 'vmferry ${command}' of this QEMU ` +
    "finishes it, or 'vmferry recover --yes', once QEMU and its disks answer",
  ];
}
