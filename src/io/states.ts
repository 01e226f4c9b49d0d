import type { Logger } from "./log.ts";

/** Which states may follow which. */
export type Moves<S extends string> = Readonly<Record<S, readonly S[]>>;

/** A state with one setter that knows which moves are legal and logs each at debug. */
export class States<S extends string> {
  readonly #what: string;
  readonly #moves: Moves<S>;
  readonly #log: Logger;
  #current: S;

  constructor(what: string, initial: S, moves: Moves<S>, log: Logger) {
    this.#what = what;
    this.#current = initial;
    this.#moves = moves;
    this.#log = log;
  }

  get current(): S {
    return this.#current;
  }

  /** @throws {Error} when the table does not allow the move: a bug, not bad luck. */
  to(next: S): void {
    if (!this.#moves[this.#current].includes(next)) {
      throw new Error(`${this.#what}: no move from ${this.#current} to ${next}`);
    }
    if (this.#log.debugEnabled) {
      this.#log.log("debug", `${this.#what}: ${this.#current} -> ${next}`);
    }
    this.#current = next;
  }
}

/** State -> event -> next state. An event that changes nothing in a state leads to that same state. */
export type Transitions<S extends string, E extends string> = Readonly<
  Record<S, Readonly<Partial<Record<E, S>>>>
>;

/** A state that only events change, by a table. Pure: what follows from a state is for others to do. */
export class Machine<S extends string, E extends string> {
  readonly #what: string;
  readonly #table: Transitions<S, E>;
  readonly #log: Logger;
  #current: S;

  constructor(what: string, initial: S, table: Transitions<S, E>, log: Logger) {
    this.#what = what;
    this.#current = initial;
    this.#table = table;
    this.#log = log;
  }

  get current(): S {
    return this.#current;
  }

  /**
   * @returns whether the state has changed.
   * @throws {Error} when the table has no such event in this state: a bug, not bad luck.
   */
  take(event: E): boolean {
    const from = this.#current;
    const next = this.#table[from][event];
    if (next === undefined) throw new Error(`${this.#what}: no "${event}" in state ${from}`);
    if (next === from) return false;
    if (this.#log.debugEnabled) {
      this.#log.log("debug", `${this.#what}: ${from} -> ${next} (${event})`);
    }
    this.#current = next;
    return true;
  }
}
