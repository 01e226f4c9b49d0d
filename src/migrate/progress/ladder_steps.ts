import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import type { MigrationSettings, QmpClient } from "../../qmp/mod.ts";
import type { LadderStep, RamProgress, Report } from "../events.ts";
import type { RamChoices } from "../ram_choices.ts";
import { type Cause, Ladder, PASSES, throttleAfter, throttleFor } from "./ladder.ts";
import { notConverging, stepEvent } from "./ladder_words.ts";
import { Throttle } from "./throttle.ts";

/** The migration, as far as its ladder needs it. */
export interface LadderContext {
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly report: Report;
  /** Aborted when the migration fails. */
  readonly signal: AbortSignal;
  readonly options: {
    readonly ram?: RamChoices;
    readonly limits: { readonly maxDowntimeMs: number };
  };
}

/** A change of the steps while the migration runs. */
export interface LadderChange {
  /** `true`: throttle the guest now; `false`: never, and no longer. */
  readonly autoConverge?: boolean;
  /** `now`: start post-copy; `when-ram`: as soon as RAM crosses; `never`: do not. */
  readonly postcopy?: "now" | "when-ram" | "never";
}

/** Post-copy, where both QEMUs are set up for it. */
export interface PostcopyStep {
  /** Starts it; returns false where it cannot. */
  readonly start: () => Promise<boolean>;
  /** It is a step of the ladder; otherwise it begins at a time of its own, or when the user asks for it. */
  readonly isStep: boolean;
}

/** A change that is not possible; nothing has changed. */
export class LadderError extends Error {
  /** The class, also in a bundle. */
  override name = "LadderError";
}

/** How long the warning that nothing has helped is not repeated, ms. */
const AGAIN_MS = 60_000;
/** Why post-copy was not started. */
const NO_POSTCOPY =
  "Post-copy is not possible now: start the migration with --allow-postcopy, and " +
  "ask for it while RAM crosses";

/** Carries out what the {@link Ladder} decides, and reports each step once. */
export class LadderSteps {
  readonly #context: LadderContext;
  readonly #throttle: Throttle;
  readonly #ladder: Ladder;
  /** QEMU has the capability: it can be asked for a throttle. Known once {@link plan} was called. */
  #isCapable = false;
  #hasBegun = false;
  #why = "";
  #startPostcopy: (() => Promise<boolean>) | undefined;
  #ram: RamProgress | undefined;
  #throttlePercent = 0;
  #isBusy = false;
  /** The user has asked for it before RAM crossed. */
  #isPostcopyDue = false;
  readonly #taken: LadderStep[] = [];
  #warnedAt = -Infinity;

  constructor(context: LadderContext) {
    this.#context = context;
    const { autoConverge, dirtyLimitMib } = context.options.ram ?? {};
    this.#throttle = new Throttle(autoConverge ?? { when: "ladder" }, context);
    this.#ladder = new Ladder({
      autoConverge: dirtyLimitMib === undefined ? autoConverge?.when ?? "ladder" : "never",
      maxThrottle: this.#throttle.max,
      postcopy: true,
    });
  }

  /**
   * What QEMU is to be set to before its migration begins; it does not take the capability later.
   *
   * @param isSinglePass RAM crosses once, and the rest while the guest is paused: a throttle would not help.
   */
  plan(isSinglePass: boolean): {
    readonly capabilities: Readonly<Record<string, boolean>>;
    readonly parameters: Readonly<Record<string, number>>;
  } {
    const { dirtyLimitMib } = this.#context.options.ram ?? {};
    if (dirtyLimitMib !== undefined) {
      this.#why = "QEMU limits it by --dirty-limit";
      const parameters = { "vcpu-dirty-limit": dirtyLimitMib };
      return { capabilities: { "dirty-limit": true }, parameters };
    }
    if (isSinglePass) {
      this.#ladder.choose({ autoConverge: "never" });
      this.#why = "QEMU before 9.0 with TCG sends RAM in a single pass";
      return { capabilities: {}, parameters: {} };
    }
    const { autoConverge } = this.#ladder.choices;
    this.#isCapable = autoConverge !== "never";
    this.#why =
      "QEMU takes auto-converge only before RAM begins to cross, and it was forbidden then";
    return {
      capabilities: this.#isCapable ? { "auto-converge": true } : {},
      parameters: this.#throttle.parameters(autoConverge),
    };
  }

  /**
   * RAM begins to cross.
   *
   * @param settings with what {@link plan} returned.
   * @param postcopy absent: the user does not allow it.
   */
  begin(settings: Pick<MigrationSettings, "apply">, postcopy?: PostcopyStep): void {
    this.#hasBegun = true;
    this.#throttle.begin(settings);
    this.#startPostcopy = postcopy?.start;
    if (!postcopy?.isStep) this.#ladder.choose({ postcopy: false });
  }

  /** Takes the progress of RAM and the steps that follow from it. */
  look(ram: RamProgress): void {
    if (this.#isBusy) return;
    this.#ram = ram;
    if (this.#isPostcopyDue) return this.#begun(this.#postcopyNow());
    const { clock, options: { limits: { maxDowntimeMs } } } = this.#context;
    this.#announceStart(ram);
    const move = this.#ladder.look({ now: clock.now(), ram, maxDowntimeMs });
    switch (move?.step) {
      case "auto-converge":
        return this.#begun(this.#autoConverge(move.cause));
      case "throttle-more":
        return this.#begun(this.#throttleMore());
      case "postcopy":
        return this.#begun(this.#postcopy(move.cause));
      case "none":
        return this.#warn(move.cause);
    }
  }

  /**
   * Takes or forbids steps. Resolves when QEMU has accepted it.
   *
   * @throws {LadderError} when a step is not possible.
   * @throws {QmpError | QmpCommandError} when QEMU does not accept it.
   */
  async set({ autoConverge, postcopy }: LadderChange): Promise<void> {
    if (autoConverge && this.#hasBegun && !this.#isCapable) {
      throw new LadderError(`The guest can't be throttled: ${this.#why}`);
    }
    if (postcopy === "now") await this.#postcopyNow();
    if (postcopy === "when-ram") {
      if (this.#hasBegun) await this.#postcopyNow();
      else if (this.#context.options.ram?.postcopy) this.#isPostcopyDue = true;
      else throw new LadderError(NO_POSTCOPY);
    }
    if (postcopy === "never") this.#ladder.choose({ postcopy: false });
    if (autoConverge === undefined) return;
    if (!this.#hasBegun) {
      return this.#ladder.choose({ autoConverge: autoConverge ? "start" : "never" });
    }
    if (!autoConverge) {
      this.#ladder.choose({ autoConverge: "never" });
      this.#throttlePercent = 0;
      if (this.#isCapable) await this.#throttle.off();
    } else if (this.#throttlePercent === 0 && this.#ladder.choices.autoConverge !== "start") {
      this.#ladder.choose({ autoConverge: "ladder" });
      await this.#autoConverge();
    }
  }

  /** QEMU throttles the guest from the start: it has begun to. */
  #announceStart({ throttlePercent = 0 }: RamProgress): void {
    if (this.#ladder.choices.autoConverge !== "start" || throttlePercent === 0) return;
    if (this.#taken.includes("auto-converge")) return;
    this.#report("auto-converge", this.#ladder.cause, undefined, throttlePercent);
  }

  #begun(step: Promise<void>): void {
    this.#isBusy = true;
    const { log } = this.#context;
    step.catch((error) => log.log("warning", `the guest's RAM: ${messageOf(error)}`))
      .finally(() => this.#isBusy = false);
  }

  /** @param why absent: the user has asked for it. */
  async #autoConverge(why?: Cause): Promise<void> {
    const { max, given } = this.#throttle;
    const { total = 0, dirtyRate = 0 } = this.#ram ?? {};
    const changed = total > 0
      ? await this.#throttle.changed(total, this.#context.signal)
      : undefined;
    // The rate may be known only now.
    const cause = why ?? this.#ladder.cause;
    // One pass may be a burst of work in the guest.
    const isCertain = !why || why.passes >= PASSES.certain;
    if (!isCertain && (changed ?? 0) <= cause.rate) return;
    const percent = given.initial ?? throttleFor(changed ?? dirtyRate, cause.rate, max);
    await this.#throttleTo(percent);
    this.#report("auto-converge", cause, changed, percent);
  }

  async #throttleMore(): Promise<void> {
    const { max, given: { increment } } = this.#throttle;
    const now = this.#throttlePercent;
    await this.#throttleTo(
      increment === undefined ? throttleAfter(now, max) : Math.min(max, now + increment),
    );
  }

  async #throttleTo(percent: number): Promise<void> {
    // Forbidden while QEMU measured.
    if (this.#ladder.choices.autoConverge === "never") return;
    this.#throttlePercent = percent;
    this.#ladder.throttleAsked(percent);
    this.#context.log.log("info", `QEMU is to throttle the guest by ${percent} %`);
    await this.#throttle.to(percent);
  }

  async #postcopy(cause: Cause): Promise<void> {
    const changed = await this.#throttle.changed(this.#ram!.total, this.#context.signal);
    if (await this.#startPostcopy?.()) this.#report("postcopy", cause, changed);
  }

  async #postcopyNow(): Promise<void> {
    this.#isPostcopyDue = false;
    if (!await this.#startPostcopy?.()) throw new LadderError(NO_POSTCOPY);
    this.#report("postcopy", this.#ladder.cause, undefined);
  }

  #report(step: LadderStep, cause: Cause, changed: number | undefined, percent?: number): void {
    // Each step once, however often the user switches it.
    if (this.#taken.includes(step)) return;
    this.#taken.push(step);
    this.#context.report(stepEvent(step, cause, { changed, throttlePercent: percent }));
  }

  #warn(cause: Cause): void {
    const now = this.#context.clock.now();
    if (now - this.#warnedAt < AGAIN_MS) return;
    this.#warnedAt = now;
    // What can't be switched on is not offered.
    const tried = this.#isCapable ? this.#taken : ["auto-converge", ...this.#taken] as const;
    this.#context.report(notConverging(cause, tried));
  }
}
