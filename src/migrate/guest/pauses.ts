import { abortable, type Clock } from "../../io/mod.ts";
import type { Report } from "../events.ts";
import type { GuestWatch } from "./watch.ts";
import type { Stop } from "../journal.ts";

/** The migration, as far as its pauses of the guest need it. */
export interface PauseContext {
  /** `undefined` before the guest has been inspected. */
  readonly guest: GuestWatch | undefined;
  readonly clock: Clock;
  readonly report: Report;
  /** Aborted when the migration is given up: from then on the guest must run. */
  readonly signal: AbortSignal;
  /** Longest brief pause, ms. */
  readonly maxPauseMs: number;
  /** Writes to the journal that vmferry pauses the guest: before the pause, and once it runs again. */
  writePause(stopped: Stop): Promise<void>;
  /** QEMU did not pause the guest, or not resume it. */
  fault(error: unknown): void;
}

/** The result of a pause that ended before the switchover. */
export interface Held {
  /** How long the guest was paused, ms. */
  readonly ms: number;
  /** The purpose of the pause was reached in time. */
  readonly done: boolean;
}

/**
 * Pauses the guest before the switchover does: for the rest of the copy, where the user asks for it, or
 * briefly, so that an almost ready mirror becomes ready. The guest runs again at the destination, or at
 * the source once the brief pause is over or the migration is given up.
 */
export class GuestPauses {
  readonly #context: PauseContext;
  /** Why {@link due} must pause the guest for the rest of the copy. */
  #why: string | undefined;
  /** Why it has paused the guest, so that it can do so again after {@link interrupt}. */
  #reason = "The guest was paused for the rest of the copy when vmferry was killed";
  #stopping: Promise<unknown> = Promise.resolve();
  /** False once the guest is paused for the rest of the copy, or its RAM crosses. */
  #mayHold = true;
  #held: Promise<unknown> = Promise.resolve();

  constructor(context: PauseContext) {
    this.#context = context;
  }

  /** Ends the brief pauses; resolves when the guest is in none. Never rejects. */
  async holdNoMore(): Promise<void> {
    this.#mayHold = false;
    await this.#held;
  }

  /** Pauses the guest for the rest of the copy as soon as {@link due} is called; `why` is reported then. */
  suspend(why: string): void {
    this.#why ??= why;
  }

  /** Everything was copied once: what the guest changes meanwhile is the rest. */
  due(): void {
    const why = this.#why;
    const guest = this.#context.guest;
    if (why === undefined || this.#context.signal.aborted || !guest?.shouldRun) return;
    // Only once: a user who resumes the guest afterwards has a reason.
    this.#why = undefined;
    this.#reason = why;
    this.#mayHold = false;
    const message = `${why}: vmferry pauses the guest until the rest is copied. ` +
      "It runs again at the destination";
    this.#context.report({ event: "warning", code: "guest-suspended", message });
    this.#stopping = this.#stop(guest).catch((error) => this.#context.fault(error));
  }

  /**
   * Ends the pause for the rest of the copy until {@link due} is called again. A guest that its owner has paused or
   * resumed meanwhile is left alone.
   *
   * @throws {QmpError | QmpCommandError} when QEMU does not resume the guest.
   */
  async interrupt(): Promise<void> {
    await this.#stopping;
    const { guest, signal } = this.#context;
    if (!guest?.suspended || !guest.shouldRun || signal.aborted) return;
    await guest.letRun();
    await this.#context.writePause("no");
    this.#why ??= this.#reason;
  }

  async #stop(guest: GuestWatch): Promise<void> {
    await this.#context.writePause("suspended");
    // Given up meanwhile: the guest runs and must keep running.
    if (!this.#context.signal.aborted) await guest.suspend();
  }

  /**
   * Pauses the guest until `done` resolves, for `maxPauseMs` at most.
   *
   * @param done ends when its signal is aborted, and may throw its reason.
   * @returns `undefined` where the guest is not paused for this: it does not run, or is paused already.
   */
  async hold(done: (signal: AbortSignal) => Promise<void>): Promise<Held | undefined> {
    const { guest, signal } = this.#context;
    if (!this.#mayHold || !guest?.shouldRun || guest.suspended || signal.aborted) return undefined;
    const holding = this.#hold(guest, done);
    this.#held = holding.catch(() => {});
    try {
      return await holding;
    } catch (error) {
      this.#context.fault(error);
      return undefined;
    }
  }

  async #hold(
    guest: GuestWatch,
    done: (signal: AbortSignal) => Promise<void>,
  ): Promise<Held | undefined> {
    const context = this.#context;
    const { clock, signal } = context;
    await context.writePause("held");
    if (signal.aborted) return undefined;
    const since = clock.now();
    const late = new AbortController();
    const cancel = clock.after(context.maxPauseMs, () => late.abort());
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
      await context.writePause("no");
    }
    return { ms, done: isDone };
  }
}
