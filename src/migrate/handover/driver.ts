import { type Logger, messageOf } from "../../io/mod.ts";
import type { JournalStore } from "../journal.ts";
import { type StateAction, type Step, writeOf } from "./action.ts";

/** What a side does beside the journal: a function for each of its actions. */
export type Effects<A extends string> = Readonly<Record<A, () => unknown>>;

/** What is written down, as far as the driver knows it. */
interface StateRecord<S extends string> {
  readonly state: S;
}

export interface DriverOptions<
  S extends string,
  E extends string,
  A extends string,
  R extends StateRecord<S>,
> {
  /** Which side, for the log. */
  readonly name: string;
  readonly initial: S;
  readonly step: (state: S, event: E) => Step<S, A | StateAction<S>> | undefined;
  readonly effects: Effects<Exclude<A, StateAction<S>>>;
  readonly journal: JournalStore<R>;
  /** What was written down last; none before there is anything to resume. */
  readonly record: R | undefined;
  /** Throws where the migration was given up; called before each action that this may prevent. */
  readonly check: () => void;
  /** What is thrown for an event that the state does not know, or that another one has overtaken. */
  readonly overtaken: (event: E, state: S) => Error;
  /** A write that nobody waited for has failed. */
  readonly onFault: (error: unknown) => void;
  readonly log: Logger;
}

/** States in which the guest may have been handed over, as the journal has them. */
const HANDED_OVER: readonly string[] = ["handover", "unknown"];

/**
 * Carries out the steps of one side: its actions one after the other, each once the one before is done.
 * The only place that changes the side's state and that writes it down. Actions that need no wait follow
 * each other in the same turn.
 *
 * Steps may overlap where events do: the destination's QEMU may end while `finish` is carried out. The first
 * step to `enter` a state wins; the rest of the others is not done.
 */
export class Driver<
  S extends string,
  E extends string,
  A extends string,
  R extends StateRecord<S>,
> {
  readonly #options: DriverOptions<S, E, A, R>;
  #state: S;
  #record: R | undefined;
  #written: Promise<void> = Promise.resolve();

  constructor(options: DriverOptions<S, E, A, R>) {
    this.#options = options;
    this.#state = options.initial;
    this.#record = options.record;
  }

  get state(): S {
    return this.#state;
  }

  /** What was written down last, or is being written down. */
  get record(): R | undefined {
    return this.#record;
  }

  /** There is something to write down from now on, or nothing any more. */
  set record(record: R | undefined) {
    this.#record = record;
  }

  /** Resolves when everything that was to be written down has been, or can't be. */
  get written(): Promise<void> {
    return this.#written;
  }

  /** The event leads to another state. */
  changes(event: E): boolean {
    const step = this.#options.step(this.#state, event);
    return step !== undefined && step.to !== this.#state;
  }

  /**
   * Carries out what follows from an event. Its first actions, up to the first wait, in this turn.
   *
   * @param change what is written down beside the state.
   * @throws what an action throws, what `check` throws, and `overtaken`; the rest of the step is not done.
   */
  async take(event: E, change: Partial<R> = {}): Promise<void> {
    const { step: stepOf, overtaken, check, effects, log } = this.#options;
    const step = stepOf(this.#state, event);
    if (!step) throw overtaken(event, this.#state);
    let expected = this.#state;
    for (const action of step.actions) {
      if (this.#state !== expected) throw overtaken(event, this.#state);
      if (this.#mayBePrevented(step.to)) check();
      if (action === "enter") {
        if (log.debugEnabled) {
          const { name } = this.#options;
          log.log("debug", `${name}: ${this.#state} -> ${step.to} (${event})`);
        }
        this.#state = expected = step.to;
        continue;
      }
      const done = this.#isOwn(action)
        ? this.#journal(action, change)
        : effects[action as Exclude<A, StateAction<S>>]();
      if (done instanceof Promise) await done;
    }
  }

  /** Writes something down beside the state, which stays as it was written. */
  async note(change: Partial<Omit<R, "state">>): Promise<void> {
    await this.#write(change as Partial<R>);
  }

  /** Writes something down together with the state that holds now. */
  async noteWithState(change: Partial<Omit<R, "state">>): Promise<void> {
    await this.#write({ ...change, state: this.#state } as Partial<R>);
  }

  /** A fault leads elsewhere than this state, and elsewhere than the step that is under way. */
  #mayBePrevented(to: S): boolean {
    const fault = this.#options.step(this.#state, "fault" as E);
    return fault !== undefined && fault.to !== this.#state && fault.to !== to;
  }

  #isOwn(action: string): boolean {
    return action === "written" || writeOf(action) !== undefined;
  }

  #journal(action: string, change: Partial<R>): Promise<void> | undefined {
    if (action === "written") return this.#written;
    const { how, state } = writeOf<S>(action)!;
    const { log, onFault } = this.#options;
    if (how === "withdraw" && !HANDED_OVER.includes(this.#record?.state ?? "")) return undefined;
    const writing = this.#write({ ...change, state });
    if (how === "write") return writing;
    if (how === "begin to write") {
      writing.catch(onFault);
      return undefined;
    }
    return writing.catch((error) => log.log("warning", `the journal: ${messageOf(error)}`));
  }

  /** In the order of the calls. */
  async #write(change: Partial<R>): Promise<void> {
    if (!this.#record) return;
    this.#record = { ...this.#record, ...change };
    const written = this.#options.journal.write(this.#record);
    this.#written = written.catch(() => {});
    await written;
  }
}
