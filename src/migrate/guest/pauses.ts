import { abortable, type Clock } from "../../io/mod.ts";
import type { Report } from "../events.ts";
import type { GuestWatch } from "./watch.ts";
import type { Stop } from "../journal.ts";

export interface GuestStopsOptions {
  /** `undefined` while nobody knows the guest yet. */
  readonly guest: () => GuestWatch | undefined;
  readonly clock: Clock;
  readonly report: Report;
  /** Aborted when the migration is given up: the guest is to run then, and to stay so. */
  readonly signal: AbortSignal;
  /** Writes down how the guest stands because of us: before it does, and once it runs again. */
  readonly write: (stopped: Stop) => Promise<void>;
  /** How long it may be held, ms. */
  readonly holdMs: () => number;
  /** The guest could not be stopped, or not be let go. */
  readonly onFault: (error: unknown) => void;
}

/** How a guest was held. */
export interface Held {
  /** How long it stood still, ms. */
  readonly ms: number;
  /** What it was held for has come to pass. */
  readonly done: boolean;
}

/**
 * Stops the guest before the switchover does: for the rest of the copy, where somebody wants that, or
 * for a moment, in which a disk that is nearly in step gets there. It runs again at the destination, or
 * here: after a moment, or when the migration is given up.
 */
export class GuestStops {
  readonly #options: GuestStopsOptions;
  /** Why it is to be stopped for the rest, once it is. */
  #why: string | undefined;
  /** Not once it was stopped for the rest, and not once its memory crosses. */
  #mayHold = true;
  #held: Promise<unknown> = Promise.resolve();

  constructor(options: GuestStopsOptions) {
    this.#options = options;
  }

  /** Resolves when the guest is not held, and will not be any more. Never rejects. */
  async holdNoMore(): Promise<void> {
    this.#mayHold = false;
    await this.#held;
  }

  /** Stops it for the rest of the copy as soon as {@link due} is called, and says why. */
  suspend(why: string): void {
    this.#why ??= why;
  }

  /** What is left to copy is only what the guest changes. */
  due(): void {
    const why = this.#why;
    const guest = this.#options.guest();
    if (why === undefined || this.#options.signal.aborted || !guest?.shouldRun) return;
    // Once: whoever lets it run afterwards has a reason for it.
    this.#why = undefined;
    this.#mayHold = false;
    const message = `${why}: the guest is paused so that the rest can catch up`;
    this.#options.report({ event: "warning", code: "guest-suspended", message });
    this.#stop(guest).catch(this.#options.onFault);
  }

  async #stop(guest: GuestWatch): Promise<void> {
    await this.#options.write("suspended");
    // Given up meanwhile: it runs, and is to go on.
    if (!this.#options.signal.aborted) await guest.suspend();
  }

  /**
   * Holds the guest until `done` resolves, or for as long as it may be held.
   *
   * @param done listens to its signal, and may throw its reason.
   * @returns `undefined` when it is not to be held: it does not run, or stands for another reason.
   */
  async hold(done: (signal: AbortSignal) => Promise<void>): Promise<Held | undefined> {
    const guest = this.#options.guest();
    const { signal, onFault } = this.#options;
    if (!this.#mayHold || !guest?.shouldRun || guest.suspended || signal.aborted) return undefined;
    const holding = this.#hold(guest, done);
    this.#held = holding.catch(() => {});
    try {
      return await holding;
    } catch (error) {
      onFault(error);
      return undefined;
    }
  }

  async #hold(
    guest: GuestWatch,
    done: (signal: AbortSignal) => Promise<void>,
  ): Promise<Held | undefined> {
    const { clock, holdMs, signal, write } = this.#options;
    await write("held");
    if (signal.aborted) return undefined;
    const since = clock.now();
    const late = new AbortController();
    const cancel = clock.after(holdMs(), () => late.abort());
    const either = AbortSignal.any([signal, late.signal]);
    let isDone = false;
    let ms = 0;
    try {
      await guest.suspend();
      isDone = await abortable(done(either), either).then(() => true, (error) => {
        if (either.aborted) return false;
        throw error;
      });
    } finally {
      cancel();
      await guest.letRun();
      ms = clock.now() - since;
      await write("no");
    }
    return { ms, done: isDone };
  }
}
