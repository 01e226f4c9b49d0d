import { type Clock, type Logger, messageOf, withDeadline } from "../io/mod.ts";
import { QmpClosedError } from "../qmp/mod.ts";

/** How long one step of undoing may take, ms. QEMU can be busy. */
const STEP_MS = 30_000;

/** One thing that was done, and how to take it back. */
interface Step {
  readonly what: string;
  readonly undo: () => Promise<unknown>;
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
  add(what: string, undo: () => Promise<unknown>): void {
    this.#steps.push({ what, undo });
  }

  /**
   * Takes everything back, last first.
   *
   * @returns what could not be taken back, in words.
   */
  async run(): Promise<string[]> {
    const left: string[] = [];
    let step: Step | undefined;
    while ((step = this.#steps.pop())) {
      const { what, undo } = step;
      if (this.#log.debugEnabled) this.#log.log("debug", `undo: ${what}`);
      try {
        await withDeadline(this.#clock, STEP_MS, `undoing: ${what}`, undo());
      } catch (error) {
        // With QEMU gone, so is what was made in it; that it went is told elsewhere.
        const gone = error instanceof QmpClosedError;
        if (!gone) left.push(`${what}: ${messageOf(error)}`);
        this.#log.log(gone ? "debug" : "warning", `could not undo: ${what}: ${messageOf(error)}`);
      }
    }
    return left;
  }
}
