import { delay, messageOf, withDeadline } from "../../io/mod.ts";
import { QmpClosedError, QmpCommandError, queryMigrate } from "../../qmp/mod.ts";
import { type Result, RpcError } from "../../rpc/mod.ts";
import { announce } from "../guest/announce.ts";
import { guestStatus, runs, warnIfStands } from "../guest/run_states.ts";
import type { DestinationContext } from "./context.ts";
import { failed, type GivingUp, LOST } from "./failure.ts";
import { inPostcopy } from "../postcopy/mod.ts";
import type { RamFollows } from "./ram_follows.ts";

/** Longest time for QEMU to say that the guest runs, however often the source asks, ms. */
const START_MS = 180_000;
/** Longest time for one answer to `finish`, ms. */
const ANSWER_MS = 60_000;
/** Pause between two looks at QEMU's run state, ms. */
const LOOK_MS = 20;

type Answer = Result<"finish">;

/** The start of a loaded guest: done once, however often a source without an answer asks for it. */
export class GuestStart {
  readonly #context: DestinationContext;
  readonly #givingUp: GivingUp;
  readonly #following: RamFollows;
  #answer: Promise<Answer> | undefined;
  /** Ends the watch over the start; `undefined` before the first attempt. */
  #unwatch: (() => void) | undefined;
  /** QEMU has let the guest run, whatever its run state is now. */
  #hasRun = false;

  constructor(context: DestinationContext, givingUp: GivingUp, following: RamFollows) {
    this.#context = context;
    this.#givingUp = givingUp;
    this.#following = following;
  }

  /** A start is under way, or done. */
  get begun(): boolean {
    return this.#answer !== undefined;
  }

  /**
   * Answers `finish`: runs the guest, or verifies that a guest that stays paused is here. Asked again, the
   * answer is the same one; a start that failed without QEMU's refusal is tried again.
   *
   * @throws {RpcError} `not-started`: the guest has not run here and never will. `lost`: nobody knows.
   */
  async finish(run: boolean): Promise<Answer> {
    const { state } = this.#context;
    // A guest that runs may still be waited for: what was made for it is being undone.
    const isKnown = (state === "finished" || state === "postcopy") && !this.#answer;
    if (isKnown || state === "failed" || state === "lost") return await this.#answerEnd(run);
    return await (this.#answer ??= this.#start(run).catch((error) => {
      this.#answer = undefined;
      throw error;
    }));
  }

  get #lost(): RpcError {
    return new RpcError("lost", this.#context.failure?.message ?? LOST);
  }

  /** Answers a `finish` that comes once the outcome for the guest is known. */
  async #answerEnd(run: boolean): Promise<Answer> {
    const { driver, failure, arrivedAs } = this.#context;
    const answer = Promise.withResolvers<Answer>();
    const message = failure?.message ?? "The destination gave up the migration";
    answer.promise.catch(() => {});
    await driver.take("finish-late", {
      // The process that wrote the journal has heard that from QEMU.
      "answer finish": () => answer.resolve({ status: arrivedAs ?? (run ? "running" : "paused") }),
      "answer not-started": () => answer.reject(new RpcError("not-started", message)),
      "answer lost": () => answer.reject(this.#lost),
    });
    return await answer.promise;
  }

  async #start(run: boolean): Promise<Answer> {
    const context = this.#context;
    const { driver, report } = context;
    let status = "";
    await driver.take("finish", {
      "report handover": () => report({ event: "phase", phase: "handover" }),
      "qemu cont": async () => status = await this.#carryOut(run),
    }, { run });
    context.arrivedAs = status;
    if (run) {
      // The answer does not wait for it.
      void announce(context.qmp, context.clock, context.log);
      warnIfStands(status, report);
    }
    let answer: Answer | undefined;
    if (inPostcopy((await queryMigrate(context.qmp)).status)) {
      // The guest runs: its RAM may take longer than a start.
      this.#unwatch?.();
      await driver.take("ram-left", {
        "report postcopy": () => report({ event: "phase", phase: "postcopy" }),
        "answer finish": () => answer = { status },
      });
      void this.#following.begin();
      return answer!;
    }
    await driver.take("runs", {
      undo: async () => {
        context.settle();
        await this.#givingUp.undoAll();
      },
      "report done": () => report({ event: "phase", phase: "done" }),
      settle: () => context.outcome.resolve(),
      "answer finish": () => answer = { status },
    });
    return answer!;
  }

  /** @returns QEMU's run state. */
  async #carryOut(run: boolean): Promise<string> {
    this.#watch();
    try {
      return run ? await this.#run() : await this.#stays();
    } catch (error) {
      if (error instanceof QmpCommandError) throw await this.#refused(error);
      throw error instanceof QmpClosedError ? this.#lost : error;
    }
  }

  /** From the first attempt on QEMU has three minutes, over all attempts. */
  #watch(): void {
    if (this.#unwatch) return;
    const { qmp, clock, settled } = this.#context;
    const stops = [
      clock.after(START_MS, () => this.#onSilent()),
      qmp.onEvent(({ event }) => {
        if (event === "RESUME") this.#hasRun = true;
      }),
    ];
    this.#unwatch = () => stops.forEach((stop) => stop());
    settled.addEventListener("abort", this.#unwatch, { once: true });
  }

  #onSilent(): void {
    const message = `QEMU got the command to run the guest and did not report within ${
      START_MS / 1000
    } s that it runs`;
    this.#givingUp.giveAndTell("gone", failed("not-seen-running", message));
  }

  /**
   * Gives QEMU `cont`, unless the guest has run before: a guest that has run may be paused again, for an
   * I/O error or by somebody, and must not be resumed against that.
   *
   * @throws {QmpCommandError} when QEMU refuses: it cannot lock the guest's disks, for one.
   * @throws {DeadlineError} when the guest does not run within a minute, which is no refusal.
   */
  async #run(): Promise<string> {
    const { qmp, clock } = this.#context;
    if (!this.#hasRun) await qmp.execute("cont", {});
    return await withDeadline(clock, ANSWER_MS, "the guest to run", this.#untilRuns());
  }

  async #untilRuns(): Promise<string> {
    const { qmp, clock } = this.#context;
    while (true) {
      const status = await guestStatus(qmp);
      if (status !== undefined && (runs(status) || this.#hasRun)) return status;
      if (this.#context.state === "lost") throw this.#lost;
      await delay(clock, LOOK_MS);
    }
  }

  /** @throws {Error} when QEMU does not say how the guest is, which is no refusal. */
  async #stays(): Promise<string> {
    const status = await guestStatus(this.#context.qmp);
    if (status === undefined) throw new Error("QEMU does not say how the guest is");
    return status;
  }

  async #refused(cause: unknown): Promise<RpcError> {
    const message = `The guest could not be started: ${messageOf(cause)}`;
    await this.#givingUp.give("refused", failed("not-started", message, cause));
    return new RpcError("not-started", message);
  }
}
