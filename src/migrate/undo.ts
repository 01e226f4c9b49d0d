import { type Clock, DeadlineError, type Logger, messageOf, withDeadline } from "../io/mod.ts";
import { QmpClosedError } from "../qmp/mod.ts";

/** How long one undo step may take, ms: QEMU can be busy, a disk slow. */
export const STEP_MS = 30_000;
/** How long all steps may take together, ms; steps that begin later have {@link LEAST_MS} each. */
const ALL_MS = 60_000;
const LEAST_MS = 5_000;

/** Options of an undo step. */
export interface StepOptions {
  /** How long it may take, ms; {@link STEP_MS} by default. */
  readonly ms?: number;
  /** It concerns the other host: no later command on this host can finish it. */
  readonly elsewhere?: boolean;
}

/** Something that was done, and how to undo it. */
interface Step extends StepOptions {
  readonly what: string;
  readonly undo: () => Promise<unknown>;
}

/** The steps that could not be undone, as text. */
export interface Left {
  /** On this host: the next command for the same QEMU finishes it. */
  readonly here: string[];
  /** On the other host. */
  readonly elsewhere: string[];
}

/**
 * Undoes what was done so far, in reverse order. A step that fails or hangs does not prevent the others.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { silentLogger, systemClock } from "../io/mod.ts";
 * import { UndoList } from "./undo.ts";
 *
 * const undone: string[] = [];
 * const list = new UndoList(systemClock, silentLogger);
 * list.add("the export", () => Promise.resolve(undone.push("export")));
 * list.add("the mirror", () => Promise.reject(new Error("QEMU is busy")));
 * const { here } = await list.run();
 * assertEquals(undone, ["export"]);
 * assertEquals(here, ["the mirror (QEMU is busy)"]);
 * ```
 */
export class UndoList {
  readonly #clock: Clock;
  readonly #log: Logger;
  #steps: Step[] = [];

  /** An empty list. */
  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Registers how to undo an action; call it before the action, so that an interrupted one is undone too. */
  add(what: string, undo: () => Promise<unknown>, options: StepOptions = {}): void {
    this.#steps.push({ what, undo, ...options });
  }

  /**
   * Undoes everything, last step first. Never rejects.
   *
   * @returns the steps that could not be undone.
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
        // What was made in QEMU is gone with it; its end is reported elsewhere.
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

/** A message about the steps that could not be undone on this side, with the command that finishes them. */
export function leftHere(side: "source" | "destination", left: readonly string[]): string[] {
  if (left.length === 0) return [];
  const command = side === "source" ? "migrate" : "receive";
  return [
    `Not undone at the ${side}: ${left.join("; ")}. The next 'vmferry ${command}' of this QEMU ` +
    "finishes it, or 'vmferry recover --yes', once QEMU and its disks answer",
  ];
}
