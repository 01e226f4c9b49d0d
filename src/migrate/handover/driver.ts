import { type Logger, messageOf } from "../../io/mod.ts";
import type { JournalStore } from "../journal.ts";
import { type StateAction, type Step, writeOf } from "./action.ts";

/** The lists of one side, as narrow as they are written. */
type AnyLists<S extends string> = Readonly<
  Record<S, Readonly<Partial<Record<string, readonly string[]>>>>
>;

/** The events that the lists know. */
type EventOf<L> = { [S in keyof L]: keyof L[S] }[keyof L] & string;

/** Every action in the lists of an event, whatever the state. */
type ActionOn<L, E> = {
  [S in keyof L]: E extends keyof L[S] ? L[S][E] extends readonly (infer A)[] ? A : never : never;
}[keyof L];

/** What a side does beside the journal when an event comes: a function for each action. */
export type Effects<S extends string, L, E> = Readonly<
  Record<Exclude<ActionOn<L, E>, StateAction<S>> & string, () => unknown>
>;

/** What is written down, as far as the driver knows it. */
interface StateRecord<S extends string> {
  readonly state: S;
}

export interface DriverOptions<S extends string, E extends string, R extends StateRecord<S>> {
  /** Which side, for the log. */
  readonly name: string;
  readonly initial: S;
  /** What follows from an event; `undefined` where the state does not know it. */
  readonly step: (state: S, event: E) => Step<S, string> | undefined;
  readonly journal: JournalStore<R>;
  /** What was written down last; none before there is anything to resume. */
  readonly record: R | undefined;
  /** Throws once the migration has failed; called before each action that this prevents. */
  readonly check?: () => void;
  /** What is thrown for an event that the state does not know, or that another one has overtaken. */
  readonly refuse: (event: E, state: S, why: "unknown" | "overtaken") => Error;
  /** A write that nothing waits for has failed. */
  readonly onFault?: (error: unknown) => void;
  readonly log: Logger;
}

/** States of the journal in which the guest may have been handed over. */
const HANDED_OVER: readonly string[] = ["handover", "unknown"];

/**
 * Carries out the steps of one side: each action once the one before is done. The only place that changes
 * the side's state and that writes it. Actions that need no wait follow each other in the same turn.
 *
 * Steps may overlap where events do: the destination's QEMU may end while `finish` is carried out. The first
 * step to `enter` a state wins; the rest of the others is not done.
 */
export class Driver<
  S extends string,
  E extends string,
  L extends AnyLists<S>,
  R extends StateRecord<S>,
> {
  readonly #options: DriverOptions<S, E, R>;
  #current: S;
  #record: R | undefined;
  #written: Promise<void> = Promise.resolve();
  #writing = 0;

  constructor(options: DriverOptions<S, E, R>) {
    this.#options = options;
    this.#current = options.initial;
    this.#record = options.record;
  }

  get current(): S {
    return this.#current;
  }

  /** The record as it is, or is about to be, in the journal. */
  get record(): R | undefined {
    return this.#record;
  }

  /** From now on this is changed and written; `undefined`: there is nothing to resume. */
  set record(record: R | undefined) {
    this.#record = record;
  }

  /** The state that an event leads to; `undefined` where the current one does not know it. */
  after(event: E): S | undefined {
    return this.#options.step(this.#current, event)?.to;
  }

  /**
   * Carries out what follows from an event; its actions up to the first wait in this turn.
   *
   * @param change what is written beside the state.
   * @throws what an action throws, what `check` throws, and `refuse`; the rest of the step is not done.
   */
  async take<K extends E & EventOf<L>>(
    event: K,
    effects: Effects<S, L, K>,
    change: Partial<R> = {},
  ): Promise<void> {
    const { step: stepOf, refuse, name, log } = this.#options;
    const step = stepOf(this.#current, event);
    if (!step) throw refuse(event, this.#current, "unknown");
    let expected = this.#current;
    for (const action of step.actions) {
      // An answer is about the state that holds by then.
      const isAnswer = action.startsWith("answer ");
      if (!isAnswer && this.#current !== expected) throw refuse(event, this.#current, "overtaken");
      this.#check(step.to);
      if (action === "enter") {
        if (log.debugEnabled) {
          log.log("debug", `${name}: ${this.#current} -> ${step.to} (${event})`);
        }
        this.#current = expected = step.to;
        continue;
      }
      const own = this.#journal(action, change);
      const done = own === undefined
        ? (effects as Readonly<Record<string, () => unknown>>)[action]!()
        : own;
      if (done instanceof Promise) await done;
    }
  }

  /** Writes something beside the state, which stays as it was written. Rejects as the journal does. */
  async note(change: Partial<Omit<R, "state">>): Promise<void> {
    await this.#write(change as Partial<R>);
  }

  /** Writes something together with the state that holds now. Rejects as the journal does. */
  async noteWithState(change: Partial<Omit<R, "state">>): Promise<void> {
    await this.#write({ ...change, state: this.#current } as Partial<R>);
  }

  /** Changes the record for the next write. */
  amend(change: Partial<Omit<R, "state">>): void {
    if (this.#record) this.#record = { ...this.#record, ...change };
  }

  /** A failure prevents an action where it leads elsewhere than this state and than the step itself. */
  #check(to: S): void {
    const fault = this.after("fault" as E);
    if (fault !== undefined && fault !== this.#current && fault !== to) this.#options.check?.();
  }

  /** @returns `undefined` for an action that is not about the journal; `null` for one without a wait. */
  #journal(action: string, change: Partial<R>): Promise<void> | null | undefined {
    if (action === "written") return this.#allWritten();
    const write = writeOf<S>(action);
    if (!write) return undefined;
    const { how, state } = write;
    const { log, onFault } = this.#options;
    if (how === "withdraw" && !HANDED_OVER.includes(this.#record?.state ?? "")) return null;
    const writing = this.#write({ ...change, state } as Partial<R>);
    if (how === "write") return writing;
    if (how === "begin to write") {
      writing.catch((error) => onFault?.(error));
      return null;
    }
    return writing.catch((error) => log.log("warning", `the journal: ${messageOf(error)}`));
  }

  /** Also waits for writes that begin meanwhile: the journal then has the current state. */
  async #allWritten(): Promise<void> {
    while (this.#writing > 0) await this.#written;
  }

  async #write(change: Partial<R>): Promise<void> {
    if (!this.#record) return;
    this.#record = { ...this.#record, ...change };
    this.#writing++;
    const written = this.#options.journal.write(this.#record).finally(() => this.#writing--);
    this.#written = written.catch(() => {});
    await written;
  }
}
