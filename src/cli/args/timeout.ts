import type { Clock } from "../../io/mod.ts";

/**
 * What to do with a migration that is not done in time: undo it, pause the guest for the rest, or have it run at the
 * destination before all of its RAM is there.
 */
export type TimeoutAction = "abort" | "pause" | "postcopy";

/** Reads `abort`, `pause` (also by its old name, `suspend`), or `postcopy`. */
export function parseTimeoutAction(text: string): TimeoutAction | undefined {
  if (text === "suspend") return "pause";
  return text === "abort" || text === "pause" || text === "postcopy" ? text : undefined;
}

/** What {@link parseTimeoutAction} reads, as text. */
export const TIMEOUT_ACTION = "abort, pause or postcopy";

/** The time that a migration is given; it can be given another one while it runs. */
export class MigrationTimeout implements Disposable {
  readonly #clock: Clock;
  readonly #onTimeout: (action: TimeoutAction, message: string) => void;
  #action: TimeoutAction;
  #until: number | undefined;
  #cancel: () => void = () => {};

  /** @param ms from now on; 0: as long as it takes. */
  constructor(
    clock: Clock,
    ms: number,
    action: TimeoutAction,
    onTimeout: (action: TimeoutAction, message: string) => void,
  ) {
    this.#clock = clock;
    this.#action = action;
    this.#onTimeout = onTimeout;
    this.set({ timeoutMs: ms });
  }

  get action(): TimeoutAction {
    return this.#action;
  }

  /** What is left of it, ms; `null`: there is none, or it has passed. */
  get leftMs(): number | null {
    return this.#until === undefined ? null : Math.max(0, this.#until - this.#clock.now());
  }

  /** Gives it another time, from now on (0: as long as it takes), another action, or both. */
  set({ timeoutMs, timeoutAction }: { timeoutMs?: number; timeoutAction?: TimeoutAction }): void {
    this.#action = timeoutAction ?? this.#action;
    if (timeoutMs === undefined) return;
    this[Symbol.dispose]();
    if (timeoutMs === 0) return;
    this.#until = this.#clock.now() + timeoutMs;
    this.#cancel = this.#clock.after(timeoutMs, () => {
      this.#until = undefined;
      this.#onTimeout(this.#action, `Not done within ${timeoutMs / 1000} s`);
    });
  }

  [Symbol.dispose](): void {
    this.#cancel();
    this.#cancel = () => {};
    this.#until = undefined;
  }
}
