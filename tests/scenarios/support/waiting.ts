import { delay, systemClock, withDeadline } from "../../../src/io/mod.ts";

/**
 * How long to wait for what must happen, ms, where the scenario says nothing about time: long enough for a busy
 * machine.
 */
export const PATIENCE_MS = 120_000;
/** How many entries a record keeps. */
const MOST_ENTRIES = 20_000;

/** What happened so far, and a way to wait for what has not happened yet. */
export class EventRecord<T> {
  readonly #entries: T[] = [];
  readonly #waiters = new Set<{ matches(entry: T): void; fail(reason: Error): void }>();
  #ended: Error | undefined;

  /** All entries, oldest first. */
  get entries(): readonly T[] {
    return this.#entries;
  }

  /** Adds an entry; wakes who waits for such a one. */
  add(entry: T): void {
    if (this.#entries.length < MOST_ENTRIES) this.#entries.push(entry);
    for (const waiter of [...this.#waiters]) waiter.matches(entry);
  }

  /** No more entries will come: who still waits fails with `reason`. */
  end(reason: Error): void {
    this.#ended ??= reason;
    for (const waiter of [...this.#waiters]) waiter.fail(this.#ended);
  }

  /**
   * The first entry, past or to come, for which `matches` holds.
   *
   * @param the awaited event, for the message.
   * @throws {DeadlineError} after `timeoutMs`; the reason of `end`.
   */
  async waitFor(
    what: string,
    matches: (entry: T) => boolean,
    timeoutMs = PATIENCE_MS,
  ): Promise<T> {
    const past = this.#entries.find(matches);
    if (past !== undefined) return past;
    if (this.#ended) throw new Error(`${this.#ended.message} before ${what}`);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const waiter = {
      matches: (entry: T) => matches(entry) && resolve(entry),
      fail: (reason: Error) => reject(new Error(`${reason.message} before ${what}`)),
    };
    this.#waiters.add(waiter);
    try {
      return await withDeadline(systemClock, timeoutMs, what, promise);
    } finally {
      this.#waiters.delete(waiter);
    }
  }
}

/**
 * Asks until the answer is there. For what nothing tells by itself; where there is an event, wait
 * for that.
 *
 * @param ask returns `undefined` while it is not so.
 * @throws {Error} after `timeoutMs`, with `what`.
 */
export async function poll<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  timeoutMs = PATIENCE_MS,
  everyMs = 20,
): Promise<T> {
  const end = systemClock.now() + timeoutMs;
  while (true) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (systemClock.now() > end) throw new Error(`Waited ${timeoutMs / 1000} s for ${what}`);
    await delay(systemClock, everyMs);
  }
}
