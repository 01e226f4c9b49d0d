/** The program's time; injected so that tests can advance it by hand. */
export interface Clock {
  /** Time of a monotonic clock, ms; its zero has no meaning. */
  now(): number;
  /** Calls `callback` once after `ms` milliseconds; returns a function that cancels the timer. */
  after(ms: number, callback: () => void): () => void;
}

/** The machine's own monotonic clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const id = setTimeout(callback, ms);
    return () => clearTimeout(id);
  },
};

/**
 * Resolves after `ms` milliseconds.
 *
 * @throws the signal's reason when it is aborted first.
 */
export function delay(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      cancel();
      reject(signal!.reason);
    };
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
