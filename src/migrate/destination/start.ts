import type { Clock } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { Result } from "../../rpc/mod.ts";
import { guestRuns, guestStatus } from "./load.ts";

/** How long QEMU may take to say that the guest runs, however often it is told to, ms. */
const START_MS = 180_000;

type Answer = Result<"finish">;

/**
 * The start of a guest that has come: asked for again and again by a source that hears no answer, done
 * once, and not for ever.
 */
export class GuestStart {
  readonly #qmp: QmpClient;
  readonly #clock: Clock;
  readonly #onSilent: (message: string) => void;
  #answer: Promise<Answer> | undefined;
  #stopTimer: (() => void) | undefined;
  #stopEvents: (() => void) | undefined;
  /** QEMU has let the guest run, whatever it did then. */
  #hasRun = false;

  /** @param onSilent called when QEMU has not said in time that the guest runs. */
  constructor(qmp: QmpClient, clock: Clock, onSilent: (message: string) => void) {
    this.#qmp = qmp;
    this.#clock = clock;
    this.#onSilent = onSilent;
  }

  /** It is under way, or done. */
  get begun(): boolean {
    return this.#answer !== undefined;
  }

  /** Asked again, the answer is the same one; only one that could not be had is asked for again. */
  once(start: () => Promise<Answer>): Promise<Answer> {
    return this.#answer ??= start().catch((error) => {
      this.#answer = undefined;
      throw error;
    });
  }

  /** It is known what became of it. */
  over(): void {
    this.#stopTimer?.();
    this.#stopEvents?.();
  }

  /**
   * Has QEMU run the guest, or makes sure that one that is to stand is there. From the first time on
   * QEMU has three minutes, in all, to say so.
   *
   * @param check called while it does not run yet; what it throws ends the wait.
   * @returns QEMU's run state: a guest that ran may stand again, for an I/O error or because somebody has
   * paused it, and is not let run a second time.
   * @throws {QmpCommandError} when QEMU says that it does not run it: its disks could not be had, for one.
   * @throws {Error} when it does not answer, which is no refusal.
   */
  async carryOut(run: boolean, check: () => void): Promise<string> {
    this.#stopTimer ??= this.#clock.after(START_MS, () => {
      this.#onSilent(
        `QEMU was told to run the guest and did not say within ${START_MS / 1000} s that it does`,
      );
    });
    if (run) {
      this.#stopEvents ??= this.#qmp.onEvent(({ event }) => {
        if (event === "RESUME") this.#hasRun = true;
      });
      if (!this.#hasRun) await this.#qmp.execute("cont", {});
      return await guestRuns(this.#qmp, this.#clock, { hasRun: () => this.#hasRun, check });
    }
    const status = await guestStatus(this.#qmp);
    if (status === undefined) throw new Error("QEMU does not say how the guest is");
    return status;
  }
}
