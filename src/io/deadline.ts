export { abortable } from "@std/async/abortable";
import type { Clock } from "./clock.ts";

/** A wait took longer than it was given. `message` says what was waited for. */
export class DeadlineError extends Error {
  override name = "DeadlineError";
  readonly code = "deadline";
}

/**
 * Waits for `promise`, but for `ms` milliseconds at most. The work behind the promise goes on; its
 * owner ends it.
 *
 * @throws {DeadlineError} saying `Waited N s for WHAT`.
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

/** In how many looks at the progress a wait is cut up: it may last longer by one of them. */
const LOOKS = 8;

/**
 * Calls `callback` once, when `progress` has been the same number for `ms` milliseconds; an eighth of that
 * later at most.
 *
 * @returns how to stop that.
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
    cancel = clock.after(Math.min(leftMs, ms / LOOKS), () => {
      const now = progress();
      if (now !== before) [before, since] = [now, clock.now()];
      // Fractions of a millisecond must not make a loop of it.
      if (clock.now() - since > ms - 1) callback();
      else wait();
    });
  };
  wait();
  return () => cancel();
}
