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
