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

/**
 * A state that only events change, by a table. Pure: it has no effects, its owner acts on the state.
 *
 * @example
 * ```ts
 * import { assertEquals, assertThrows } from "@std/assert";
 * import { silentLogger } from "./log.ts";
 *
 * const table: Transitions<"open" | "closed", "push" | "lock"> = {
 *   open: { push: "closed" },
 *   closed: { push: "open", lock: "closed" },
 * };
 * const door = new Machine("door", "open", table, silentLogger);
 * assertThrows(() => door.take("lock"), Error, 'door: no "lock" in state open');
 * assertEquals(door.take("push"), true);
 * assertEquals(door.current, "closed");
 * assertEquals(door.take("lock"), false);
 * ```
 */
export class Machine<S extends string, E extends string> {
  readonly #what: string;
  readonly #table: Transitions<S, E>;
  readonly #log: Logger;
  #current: S;

  /** `what` names the state machine in logs and errors. */
  constructor(what: string, initial: S, table: Transitions<S, E>, log: Logger) {
    this.#what = what;
    this.#current = initial;
    this.#table = table;
    this.#log = log;
  }

  /** The state now. */
  get current(): S {
    return this.#current;
  }

  /**
   * Applies an event and logs the change at level `debug`.
   *
   * @returns whether the state has changed.
   * @throws {Error} when the table lacks the event in this state, which is a bug of the caller.
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
