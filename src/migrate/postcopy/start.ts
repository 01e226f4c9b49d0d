import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { PostcopyChoice } from "../ram_choices.ts";

/** What {@link PostcopyStart} needs. */
export interface PostcopyStartOptions {
  readonly qmp: Pick<QmpClient, "execute">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly choice: PostcopyChoice;
}

/** Starts post-copy when it is due, once (`migrate-start-postcopy`). */
export class PostcopyStart {
  readonly #options: PostcopyStartOptions;
  #started: Promise<boolean> | undefined;
  #stopTimer: () => void = () => {};
  #isOver = false;

  /** Nothing is done before {@link begin}. */
  constructor(options: PostcopyStartOptions) {
    this.#options = options;
  }

  /** RAM begins to cross. */
  begin(): void {
    const { choice, clock } = this.#options;
    if (choice.when !== "after") return;
    this.#stopTimer = clock.after(choice.afterMs, () => void this.start());
  }

  /** @param pass number of the pass over RAM; 2: every page was sent once. */
  passBegan(pass: number): void {
    if (this.#options.choice.when === "first-pass" && pass >= 2) void this.start();
  }

  /**
   * Has QEMU pause the guest and go on by post-copy. Never rejects.
   *
   * @returns whether QEMU has accepted it.
   */
  async start(): Promise<boolean> {
    if (this.#isOver && !this.#started) return false;
    return await (this.#started ??= this.#ask());
  }

  /** QEMU has stopped the guest: it is too late to start. */
  stop(): void {
    this.#isOver = true;
    this.#stopTimer();
  }

  async #ask(): Promise<boolean> {
    const { qmp, log } = this.#options;
    try {
      await qmp.execute("migrate-start-postcopy", {});
      return true;
    } catch (error) {
      log.log("warning", `QEMU does not start post-copy: ${messageOf(error)}`);
      return false;
    }
  }
}
