import type { LadderStep, RamProgress } from "../events.ts";
import { Passes } from "./passes.ts";

/** The reason for a step. Sizes in bytes, rates in bytes per second. */
export interface Cause {
  /** Passes over RAM in a row that did not become shorter. */
  readonly passes: number;
  /** What the last one has to send. */
  readonly left: number;
  /** How fast RAM crosses. */
  readonly rate: number;
}

/** What to do now. */
export type LadderMove =
  /**
   * `auto-converge`: throttle the guest, after a single pass only if the guest does change RAM faster than RAM
   * crosses; returned again with the next pass otherwise. `postcopy`: start post-copy.
   */
  | { readonly step: LadderStep; readonly cause: Cause }
  /** The guest is throttled, and that is not enough. */
  | { readonly step: "throttle-more"; readonly cause: Cause }
  /** Every step that is allowed was taken; returned with each further pass. */
  | { readonly step: "none"; readonly cause: Cause };

/** What the ladder may do. */
export interface LadderChoices {
  /** `start`: QEMU throttles the guest from the first pass on; `ladder`: once it is needed; `never`: not at all. */
  readonly autoConverge: "start" | "ladder" | "never";
  /** Largest throttle, percent of the guest's CPU time. */
  readonly maxThrottle: number;
  readonly postcopy: boolean;
}

/** A sample of the progress. */
export interface LadderSample {
  /** ms. */
  readonly now: number;
  readonly ram: RamProgress;
  /** The longest downtime that is allowed, ms. */
  readonly maxDowntimeMs: number;
}

/** A throttle that the guest does not feel, percent: QEMU needs one to raise it later (throttle.ts). */
export const UNFELT = 1;
/** How many passes in a row must not have become shorter: for certain, and where a measurement confirms it. */
export const PASSES = { certain: 2, confirmed: 1 } as const;

/**
 * Decides about the steps that end the migration of a guest that changes its RAM faster than RAM crosses: throttle
 * it (auto-converge), throttle it more, post-copy. A step is taken when two passes over RAM in a row had as
 * much to send as the shortest one before, and that is more than the longest downtime allows: the growing downtime
 * limit (downtime_steps.ts), which is the first step, cannot help then. Pure.
 */
export class Ladder {
  readonly #passes = new Passes();
  #choices: LadderChoices;
  #isThrottled: boolean;
  #throttle = 0;
  /** What QEMU was last asked for, percent. */
  #asked = 0;
  #isPostcopy = false;

  /** @param choices may change later, see {@link choose}. */
  constructor(choices: LadderChoices) {
    this.#choices = choices;
    this.#isThrottled = choices.autoConverge === "start";
  }

  /** What the ladder may do. */
  get choices(): LadderChoices {
    return this.#choices;
  }

  /** Allows or forbids steps from now on; one that was taken is not taken again. */
  choose(choices: Partial<LadderChoices>): void {
    this.#choices = { ...this.#choices, ...choices };
    if (choices.autoConverge === "never") [this.#isThrottled, this.#asked] = [false, 0];
  }

  /**
   * QEMU was asked to throttle the guest.
   *
   * @param percent of its CPU time; QEMU begins with the end of a pass.
   */
  throttleAsked(percent: number): void {
    this.#isThrottled = true;
    this.#asked = percent;
    this.#passes.restart();
  }

  /** What causes a step that the user asks for: as far as it is known. */
  get cause(): Cause {
    const { withoutGain: passes, last, rate } = this.#passes;
    return { passes, left: last?.left ?? 0, rate };
  }

  /** Takes a sample; returns what to do now, at most once a pass. */
  look({ now, ram, maxDowntimeMs }: LadderSample): LadderMove | undefined {
    const percent = ram.throttlePercent ?? 0;
    const throttle = percent > UNFELT ? percent : 0;
    // The pass that begins with it is the last one whose pages a faster guest has changed.
    if (throttle > this.#throttle) this.#passes.restart();
    this.#throttle = throttle;
    if (!this.#passes.look(now, ram)) return undefined;
    const { cause } = this;
    if (cause.left <= cause.rate * maxDowntimeMs / 1000) return undefined;
    return this.#next(cause);
  }

  #next(cause: Cause): LadderMove | undefined {
    const { autoConverge, maxThrottle, postcopy } = this.#choices;
    // A largest throttle that the guest does not feel forbids the step.
    const mayThrottle = maxThrottle > UNFELT;
    const isFirst = mayThrottle && autoConverge === "ladder" && !this.#isThrottled;
    if (cause.passes < (isFirst ? PASSES.confirmed : PASSES.certain)) return undefined;
    if (isFirst) return { step: "auto-converge", cause };
    if (mayThrottle && this.#isThrottled && this.#throttle < maxThrottle) {
      // QEMU raises the throttle by itself where it throttles from the start, and may not yet have set what it was
      // asked for.
      if (autoConverge === "start" || this.#throttle < this.#asked) return undefined;
      return { step: "throttle-more", cause };
    }
    if (postcopy && !this.#isPostcopy) {
      this.#isPostcopy = true;
      return { step: "postcopy", cause };
    }
    return { step: "none", cause };
  }
}

/**
 * Share of RAM's rate that a throttled guest may still change. A smaller throttle takes less from the guest, but for
 * so much longer that it takes more on the whole; and the connection may become slower.
 */
const ENOUGH = 0.25;
/** The first throttle is no smaller, percent. */
const LEAST = 20;

/**
 * The throttle with which a guest changes a quarter of what crosses: each pass is a quarter of the one before.
 *
 * @param changed bytes that the guest changes a second while it is not throttled.
 * @param rate bytes that cross a second.
 * @param max largest throttle, percent.
 * @returns percent of the guest's CPU time; the least one where either is not known (0).
 */
export function throttleFor(changed: number, rate: number, max: number): number {
  const isKnown = changed > 0 && rate > 0;
  const share = isKnown ? Math.min(1, ENOUGH * rate / changed) : 1;
  return Math.min(max, Math.max(LEAST, Math.ceil(100 * (1 - share))));
}

/** The next larger throttle: it halves what is left of the guest's CPU time. */
export function throttleAfter(percent: number, max: number): number {
  return Math.min(max, Math.ceil(100 - (100 - percent) / 2));
}
