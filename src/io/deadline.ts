export { abortable } from "@std/async/abortable";
import type { Clock } from "./clock.ts";

/** A wait took longer than its deadline. `message` names what it waited for. */
export class DeadlineError extends Error {
  /** The class, also in a bundle. */
  override name = "DeadlineError";
  /** For callers that print codes. */
  readonly code = "deadline";
}

/**
 * Waits for `promise`, but for `ms` milliseconds at most. The work behind the promise goes on; its
 * owner ends it. By hand: `@std/async` deadline has neither our clock nor the text.
 *
 * @throws {DeadlineError} saying `Waited N s for WHAT`.
 * @throws as `promise`.
 *
 * @example
 * ```ts
 * import { assertEquals, assertRejects } from "@std/assert";
 * import { ManualClock } from "../../tests/support/manual_clock.ts";
 *
 * const clock = new ManualClock();
 * assertEquals(await withDeadline(clock, 1000, "an answer", Promise.resolve(42)), 42);
 *
 * const never = new Promise(() => {});
 * const waiting = assertRejects(
 *   () => withDeadline(clock, 1000, "an answer", never),
 *   DeadlineError,
 *   "Waited 1.0 s for an answer",
 * );
 * await clock.advance(1000);
 * await waiting;
 * ```
 */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  what: string,
  promise: Promise<T>,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const cancel = clock.after(
    ms,
    () => reject(new DeadlineError(`Waited ${(ms / 1000).toFixed(1)} s for ${what}`)),
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}

/** Checks of the progress in one wait; the wait may last longer by one interval between them. */
const CHECKS = 8;

/**
 * Calls `callback` once, when `progress` has returned the same number for `ms` milliseconds; an eighth
 * of that later at most.
 *
 * @returns a function that stops the checks.
 */
export function afterStall(
  clock: Clock,
  ms: number,
  progress: () => number,
  callback: () => void,
): () => void {
  let before = progress();
  let since = clock.now();
  let cancel = () => {};
  const wait = () => {
    const leftMs = since + ms - clock.now();
    cancel = clock.after(Math.min(leftMs, ms / CHECKS), () => {
      const now = progress();
      if (now !== before) [before, since] = [now, clock.now()];
      // Within 1 ms: a timer that fires a fraction early must not start a busy loop.
      if (clock.now() - since > ms - 1) callback();
      else wait();
    });
  };
  wait();
  return () => cancel();
}
