import { delay, messageOf } from "../../io/mod.ts";
import { queryMigrate, waitMigration } from "../../qmp/mod.ts";
import { type ChannelServer, type Result, RpcError } from "../../rpc/mod.ts";
import { type ErrorCode, MigrationError } from "../errors.ts";
import type { Side } from "../events.ts";
import { POSTCOPY_PAUSED } from "../postcopy/mod.ts";
import type { DestinationContext } from "./context.ts";
import { type GivingUp, isLoadOver } from "./failure.ts";

/** Least time for a source to come back, ms. */
const LEASE_AT_LEAST_MS = 10_000;
/** How long QEMU may stay in post-copy without a byte of RAM, ms: others set the deadlines here. */
const FOREVER_MS = 2 ** 31;
/** How long QEMU may take to notice that its stream broke before vmferry tells it, ms. */
const NOTICE_MS = 1_000;
/** How long RAM that a QEMU sent before it ended may take without a byte, ms: the source waits for the answer. */
const ARRIVES_MS = 5_000;
/** Pause between two looks at QEMU, ms. */
const LOOK_MS = 50;

/**
 * The rest of the guest's RAM, which follows a guest that runs here (post-copy): waits until it is whole, and
 * joins QEMU to the source's again where the stream broke. Only QEMU ends this, or a source that stays away.
 */
export class RamFollows {
  readonly #context: DestinationContext;
  readonly #givingUp: GivingUp;
  #stopLease: () => void = () => {};
  #begun = false;

  constructor(context: DestinationContext, givingUp: GivingUp) {
    this.#context = context;
    this.#givingUp = givingUp;
  }

  /** Waits until RAM is whole. Never rejects: a QEMU that ends is reported elsewhere. */
  async begin(): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    const { qmp, clock, log, owner } = this.#context;
    if (!owner) this.#startLease(new Error("no source has come"));
    try {
      const { status, errorDesc } = await waitMigration(qmp, isLoadOver, {
        ...{ stallMs: FOREVER_MS, clock },
      });
      if (status !== "completed") throw new Error(errorDesc ?? `QEMU's migration is "${status}"`);
      await this.#isWhole();
    } catch (error) {
      log.log("debug", `post-copy: ${messageOf(error)}`);
    }
  }

  /** A source has the migration again. */
  hasSource(): void {
    this.#stopLease();
  }

  /** The owner's session ended. Nothing, unless RAM is on its way. */
  lostSource(error: Error): void {
    const { state, failure } = this.#context;
    if (state === "postcopy" && !failure) this.#startLease(error);
  }

  /**
   * Answers `recover`: QEMU waits for RAM again, or has all of it.
   *
   * @throws {RpcError} `failed`, where there is nothing to recover, or QEMU does not accept it.
   */
  async recover(channels: ChannelServer): Promise<Result<"recover">> {
    const { state, qmp, clock, incoming } = this.#context;
    if (state === "finished") return { whole: true };
    if (state !== "postcopy") throw new RpcError("failed", `No post-copy in state "${state}"`);
    const pauseAt = clock.now() + NOTICE_MS;
    let told = false;
    while (true) {
      const { status } = await queryMigrate(qmp);
      if (status === "completed") return { whole: true };
      if (isLoadOver(status)) throw new RpcError("failed", `QEMU's migration is "${status}"`);
      // In `setup` it waits already, as an earlier call has asked, whose source did not come.
      if (status === "setup") {
        incoming.serveRamAgain(channels);
        return { whole: false };
      }
      if (status === POSTCOPY_PAUSED) break;
      if (!told && clock.now() >= pauseAt) {
        told = true;
        // Its stream is one of a session that has ended, and it may have no byte to wait for.
        await qmp.execute("migrate-pause", {}, { oob: true }).catch(() => {});
      }
      await delay(clock, LOOK_MS);
    }
    try {
      await incoming.recover(channels);
    } catch (error) {
      throw new RpcError("failed", `QEMU does not wait for RAM again: ${messageOf(error)}`);
    }
    return { whole: false };
  }

  /**
   * Answers `ramLost`: the source's QEMU has ended. Gives up, unless what it sent before is all of RAM. The record
   * stays.
   *
   * @throws {RpcError} `failed`, where no RAM follows its guest.
   */
  async sourceEnded(): Promise<Result<"ramLost">> {
    const { state, qmp, clock, owner } = this.#context;
    if (state === "finished") return { whole: true };
    if (state !== "postcopy") throw new RpcError("failed", `No post-copy in state "${state}"`);
    const end = await waitMigration(
      qmp,
      (status) => isLoadOver(status) || status === POSTCOPY_PAUSED,
      { stallMs: ARRIVES_MS, progress: () => owner?.progress ?? 0, clock },
    ).catch(() => undefined);
    if (end?.status === "completed") return { whole: true };
    this.#giveUp(
      "postcopy-lost",
      "source",
      "The source's QEMU ended, and a part of the guest's RAM was only there. The guest cannot go on here",
    );
    return { whole: false };
  }

  async #isWhole(): Promise<void> {
    const context = this.#context;
    this.#stopLease();
    await context.driver.take("ram-crossed", {
      undo: async () => {
        context.settle();
        await this.#givingUp.undoAll();
      },
      "report done": () => context.report({ event: "phase", phase: "done" }),
      settle: () => context.outcome.resolve(),
    });
  }

  #startLease(cause: Error): void {
    const context = this.#context;
    const { clock, options } = context;
    // Without a grace no other session can come; a process that was started again has had none yet.
    const isOver = options.graceMs === 0 && context.owner !== undefined;
    const waitMs = isOver ? 0 : Math.max(LEASE_AT_LEAST_MS, options.graceMs);
    this.#stopLease();
    this.#stopLease = clock.after(waitMs, () => {
      this.#giveUp(
        "postcopy-paused",
        "destination",
        "The guest runs here without a part of its RAM, which only the source's QEMU has, and no source came " +
          `within ${waitMs / 1000} s: ${messageOf(cause)}`,
      );
    });
  }

  /** Ends this process. The record stays: the next one answers the source from it. */
  #giveUp(code: ErrorCode, side: Side, message: string): void {
    const context = this.#context;
    if (context.state !== "postcopy") return;
    this.#stopLease();
    context.failure = new MigrationError("unknown", code, side, message);
    context.told.resolve();
    context.settle();
    context.outcome.resolve();
  }
}
