import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import { measureDirtyRate, type MigrationSettings, type QmpClient } from "../../qmp/mod.ts";
import type { AutoConverge } from "../ram_choices.ts";
import { UNFELT } from "./ladder.ts";

/** QEMU's own values, percent; the table of settings has them for both ends. */
const DEFAULT = { initial: 20, increment: 10, max: 99 } as const;
/** The largest. */
const MOST = 99;
/** How long QEMU may take beyond the second in which it measures, ms. */
const MEASURE_MS = 5_000;

/**
 * QEMU's throttle of the guest (auto-converge). QEMU takes the capability only before its migration begins, and
 * looks at the parameters at the end of each pass. So the capability is on from the start with a throttle of at most
 * 1 %, and {@link to} raises that while RAM crosses.
 */
export class Throttle {
  readonly #choice: AutoConverge;
  readonly #qmp: QmpClient;
  readonly #clock: Clock;
  readonly #log: Logger;
  #settings: Pick<MigrationSettings, "apply"> | undefined;

  constructor(
    choice: AutoConverge,
    { qmp, clock, log }: { readonly qmp: QmpClient; readonly clock: Clock; readonly log: Logger },
  ) {
    this.#choice = choice;
    this.#qmp = qmp;
    this.#clock = clock;
    this.#log = log;
  }

  /** Largest throttle, percent. */
  get max(): number {
    return this.#choice.max ?? DEFAULT.max;
  }

  /** The first throttle and each further step, percent, where the user has given them. */
  get given(): Pick<AutoConverge, "initial" | "increment"> {
    return this.#choice;
  }

  /**
   * QEMU's migration parameters to begin with.
   *
   * @param when QEMU is to throttle the guest.
   */
  parameters(when: AutoConverge["when"]): Record<string, number> {
    if (when !== "start") return when === "never" ? {} : parametersOf(UNFELT);
    const { initial = DEFAULT.initial, increment = DEFAULT.increment } = this.#choice;
    return {
      "cpu-throttle-initial": Math.min(initial, this.max),
      "cpu-throttle-increment": increment,
      "max-cpu-throttle": this.max,
    };
  }

  /** RAM crosses with these settings, which have the capability and {@link parameters}. */
  begin(settings: Pick<MigrationSettings, "apply">): void {
    this.#settings = settings;
  }

  /**
   * Has QEMU throttle the guest by this much from the end of one of the next two passes on.
   *
   * @param percent of its CPU time, 1 to 99; 1 is as good as none.
   * @throws {QmpError | QmpCommandError} when QEMU does not accept it.
   */
  async to(percent: number): Promise<void> {
    await this.#settings?.apply({ parameters: parametersOf(percent) });
  }

  /** Ends the throttle, as {@link to}. */
  async off(): Promise<void> {
    await this.to(UNFELT);
  }

  /**
   * Measures for a second how much RAM the guest changes (`calc-dirty-rate`, QEMU 5.2). QEMU's figure of the migration
   * counts a page once a pass, however often the guest changes it.
   *
   * @param ramBytes size of the guest's RAM.
   * @returns bytes per second; `undefined` where QEMU cannot say it.
   */
  async changed(ramBytes: number, signal: AbortSignal): Promise<number | undefined> {
    try {
      const late = new AbortController();
      const cancel = this.#clock.after(
        MEASURE_MS,
        () => late.abort(new Error("QEMU took too long")),
      );
      const either = AbortSignal.any([signal, late.signal]);
      try {
        return await measureDirtyRate(this.#qmp, { ramBytes, clock: this.#clock, signal: either });
      } finally {
        cancel();
      }
    } catch (error) {
      this.#log.log("info", `calc-dirty-rate: ${messageOf(error)}`);
      return undefined;
    }
  }
}

/** QEMU adds the increment to the throttle, and `max-cpu-throttle` limits the sum: this sets it exactly. */
function parametersOf(percent: number): Record<string, number> {
  return {
    "cpu-throttle-initial": percent,
    "cpu-throttle-increment": MOST,
    "max-cpu-throttle": percent,
  };
}
