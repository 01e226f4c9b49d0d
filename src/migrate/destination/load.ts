import { type Clock, DeadlineError, delay } from "../../io/mod.ts";
import { type QmpClient, queryMigrate, waitMigration } from "../../qmp/mod.ts";
import { type Result, RpcError } from "../../rpc/mod.ts";
import { inPostcopy, POSTCOPY_PAUSED } from "../postcopy/mod.ts";
import { stopNbdServer } from "../disks/nbd_exports.ts";
import { patience } from "../timeouts.ts";
import type { DestinationContext } from "./context.ts";
import type { BeforeSwitchover } from "./before_switchover.ts";
import { type GivingUp, isLoadOver, notLoaded } from "./failure.ts";

/** Longest time for QEMU to load what has crossed, without progress while connected, ms. */
const LOAD_MS = 120_000;
/** Pause between two looks at QEMU's run state, ms. */
const LOOK_MS = 5;
/** Longest time for a source that has cut the stream to say so, ms. */
const CAUSE_MS = 1_000;

/** The guest's RAM: from the first byte of the stream until QEMU has loaded all of the guest. */
export class Loading {
  readonly #context: DestinationContext;
  readonly #givingUp: GivingUp;
  readonly #before: BeforeSwitchover;
  #answer: Promise<Result<"load">> | undefined;

  constructor(context: DestinationContext, givingUp: GivingUp, before: BeforeSwitchover) {
    this.#context = context;
    this.#givingUp = givingUp;
    this.#before = before;
  }

  /**
   * Has QEMU wait for the stream. QEMU takes one incoming migration in its life: called as late as can
   * be, when the first byte is about to come.
   */
  async begin(): Promise<void> {
    const { record, driver, incoming, qmp, clock, report } = this.#context;
    if (record!.incomingStarted) {
      throw new RpcError("failed", "The RAM of this migration has crossed before");
    }
    // A source before 1.1 has not asked for it.
    await this.#before.done();
    await driver.take("incoming", {
      "note incoming": () => driver.note({ incomingStarted: true }),
      "qemu migrate-incoming": async () => {
        await incoming.startIncoming();
        onLoadFailed(qmp, clock, (cause) => this.#failedEarly(cause));
      },
      "report ram": () => report({ event: "phase", phase: "ram" }),
    });
  }

  /** Answers `load`: resolves when QEMU has loaded the guest. Asked again, the answer is the same one. */
  load(): Promise<Result<"load">> {
    return this.#answer ??= this.#load();
  }

  async #load(): Promise<Result<"load">> {
    const { driver, qmp, log, report } = this.#context;
    await driver.take("load", {
      "report switchover": () => report({ event: "phase", phase: "switchover" }),
      "qemu load": () => this.#orGiveUp(Promise.all([this.#loaded(), stopNbdServer(qmp, log)])),
    });
    let answer: Result<"load"> | undefined;
    await this.#orGiveUp(driver.take("completed", { "answer load": () => answer = {} }));
    return answer!;
  }

  /** @throws {RpcError} the answer to `load`, when the work fails: the guest was not loaded. */
  async #orGiveUp(work: Promise<unknown>): Promise<void> {
    const context = this.#context;
    try {
      await work;
    } catch (error) {
      // A migration that was given up ends QEMU with its stream: the reason is the one given then.
      if (context.failure) throw new RpcError("failed", context.failure.message);
      throw this.#givingUp.answered(notLoaded(error, await context.options.lastWords?.()));
    }
  }

  /** @throws {Error} in QEMU's words, when QEMU cannot load the guest. */
  async #loaded(): Promise<void> {
    const { qmp, clock } = this.#context;
    const { status, errorDesc } = await waitMigration(
      qmp,
      (status) => isLoadOver(status) || inPostcopy(status),
      {
        ...patience(LOAD_MS, () => this.#context.owner),
        clock,
        // The source asks before it sends the last bytes: QEMU need not be asked whether it has begun.
        begun: Promise.resolve(),
      },
    );
    if (inPostcopy(status)) await this.#canRun();
    else if (status !== "completed") throw new Error(errorDesc ?? "QEMU could not load it");
  }

  /** In post-copy QEMU says nothing when it has the devices: its run state changes. */
  async #canRun(): Promise<void> {
    const { qmp, clock } = this.#context;
    const { stallMs, progress } = patience(LOAD_MS, () => this.#context.owner);
    let [changed, before] = [clock.now(), progress()];
    while (true) {
      const [{ status }, { status: migration, errorDesc }] = await Promise.all([
        qmp.execute("query-status", {}),
        queryMigrate(qmp),
      ]);
      if (migration === "failed") throw new Error(errorDesc ?? "QEMU could not load it");
      if (status !== "inmigrate") return;
      if (migration === POSTCOPY_PAUSED) throw new Error("The stream of RAM broke");
      if (progress() !== before) [changed, before] = [clock.now(), progress()];
      if (clock.now() - changed > stallMs) {
        throw new DeadlineError("QEMU does not load the devices");
      }
      await delay(clock, LOOK_MS);
    }
  }

  /** Before `load` no call waits for QEMU's word, so the failure ends the session. */
  async #failedEarly(cause: unknown): Promise<void> {
    const error = notLoaded(cause, await this.#context.options.lastWords?.());
    if (this.#context.state === "prepared") await this.#givingUp.giveAndTell("fault", error);
  }
}

/**
 * Calls `tell` once with QEMU's reason when it cannot load the stream and stays, as it does from 9.1 on
 * (`exit-on-error`). Waits a moment first: a source that has cut the stream says why.
 */
function onLoadFailed(qmp: QmpClient, clock: Clock, tell: (cause: Error) => void): void {
  const stop = qmp.onEvent(({ event, data }) => {
    if (event !== "MIGRATION" || data.status !== "failed") return;
    stop();
    clock.after(CAUSE_MS, async () => {
      const info = await queryMigrate(qmp).catch(() => undefined);
      tell(new Error(info?.errorDesc ?? "QEMU says no more"));
    });
  });
}
