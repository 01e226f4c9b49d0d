import type { Logger } from "./log.ts";

/** State -> states that may follow it. */
export type Moves<S extends string> = Readonly<Record<S, readonly S[]>>;

/** A state whose setter checks each move against a table and logs it at level `debug`. */
export class States<S extends string> {
  readonly #what: string;
  readonly #moves: Moves<S>;
  readonly #log: Logger;
  #current: S;

  /** `what` names the state machine in logs and errors. */
  constructor(what: string, initial: S, moves: Moves<S>, log: Logger) {
    this.#what = what;
    this.#current = initial;
    this.#moves = moves;
    this.#log = log;
  }

  /** The state now. */
  get current(): S {
    return this.#current;
  }

  /**
   * Moves to another state.
   *
   * @throws {Error} when the table does not allow the move, which is a bug of the caller.
   */
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

/** State -> event -> next state; the same state for an event that changes nothing. */
export type Transitions<S extends string, E extends string> = Readonly<
  Record<S, Readonly<Partial<Record<E, S>>>>
>;
