import { type ChannelServer, type Params, type Result, RpcError } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import { exportsInQemu } from "../disks/nbd_exports.ts";
import { MigrationError } from "../errors.ts";
import { guestStatus } from "../guest/run_states.ts";
import { isAttachable, resumedBy } from "../handover/states.ts";
import type { DestinationRecord } from "../journal.ts";
import type { DestinationContext } from "./context.ts";
import { CUT_OFF, failed, type GivingUp, NOT_SEEN, unknown } from "./failure.ts";
import type { Preparation } from "./prepare.ts";
import type { RamFollows } from "./ram_follows.ts";
import type { GuestStart } from "./start.ts";

/** Least time for a source to attach to a resumed migration, ms. */
const LEASE_AT_LEAST_MS = 10_000;

/** What goes on with a migration that is resumed. */
export interface ResumptionParts {
  readonly givingUp: GivingUp;
  readonly preparation: Preparation;
  readonly start: GuestStart;
  readonly following: RamFollows;
}

/** Resuming a migration: after this process was killed, after the source's was, or with both. */
export class Resumption {
  readonly #context: DestinationContext;
  readonly #givingUp: GivingUp;
  readonly #preparation: Preparation;
  readonly #start: GuestStart;
  readonly #following: RamFollows;

  constructor(context: DestinationContext, parts: ResumptionParts) {
    this.#context = context;
    this.#givingUp = parts.givingUp;
    this.#preparation = parts.preparation;
    this.#start = parts.start;
    this.#following = parts.following;
  }

  /** Resumes from the journal of a killed process. To be called before any source is served. */
  async resume(record: DestinationRecord): Promise<void> {
    const context = this.#context;
    context.incoming.resume(record);
    context.report({ event: "migration", migration: record.migration });
    if (record.state === "postcopy") {
      context.arrivedAs = await guestStatus(context.qmp) ?? null;
      return void this.#following.begin();
    }
    const event = resumedBy(record.state, record.incomingStarted);
    if (event === "fault") return await this.#givingUp.give("fault", failed("cut-off", CUT_OFF));
    if (event === undefined) {
      if (record.state !== "prepared" || await this.#hasExports(record)) this.#startLease();
      return;
    }
    if (event === "finish") {
      // The source has handed the guest over: it waits for nothing but the answer.
      await this.#start.finish(record.run ?? true).catch(() => {});
      return;
    }
    switch (record.state) {
      case "finished":
        context.arrivedAs = await guestStatus(context.qmp) ?? null;
        break;
      case "lost":
        // With QEMU gone there would be no migration to resume.
        context.failure = unknown(failed("not-seen-running", NOT_SEEN));
        break;
      case "failed":
        context.failure = failed("given-up", "The migration was given up here before");
        break;
    }
    await context.driver.take("resumed", {
      undo: () => this.#givingUp.undoAll(),
      "qemu discard": () => this.#givingUp.discardGuest(),
      settle: () => context.outcome.resolve(),
    });
    if (record.state !== "waiting") return;
    // Killed while it prepared: that is undone, and the source asks for it again.
    context.forget();
    this.#startLease();
  }

  /**
   * Answers `attach`: gives the migration to another session of its source, because the source's process
   * or this one was started again. Ends the session that had it.
   *
   * @throws {RpcError} `unknown-migration`, or `refused` where RAM has begun to cross and was not loaded.
   */
  attach(
    session: Session,
    channels: ChannelServer,
    { migration }: Params<"attach">,
  ): Result<"attach"> {
    const context = this.#context;
    const { record, state } = context;
    if (record?.migration !== migration) {
      throw new RpcError("unknown-migration", "No such migration is known here (any more)");
    }
    if (!isAttachable(state, record.incomingStarted)) {
      throw new RpcError("refused", "RAM was crossing already: such a migration cannot be resumed");
    }
    const old = context.owner;
    context.owner = session;
    context.ownerEnd = undefined;
    old?.abort("The source took its migration over in another session", "stopped");
    this.#following.hasSource();
    if (state === "prepared") this.#preparation.serveOn(channels);
    return { state, exports: record.exports };
  }

  /** Gives a prepared migration up that this QEMU cannot continue. */
  async #hasExports({ exports }: DestinationRecord): Promise<boolean> {
    const there = await exportsInQemu(this.#context.qmp, exports);
    if (there.length === exports.length) return true;
    const message = "QEMU no longer has the exports of this migration: it was restarted meanwhile";
    await this.#givingUp.give("fault", failed("exports-gone", message));
    return false;
  }

  /** Gives the migration up unless a source attaches, or prepares anew, in time. */
  #startLease(): void {
    const context = this.#context;
    const { clock, options, settled } = context;
    const waitMs = Math.max(LEASE_AT_LEAST_MS, options.graceMs);
    const stop = clock.after(waitMs, () => {
      if (context.owner) return;
      const message = `The source did not return within ${waitMs / 1000} s`;
      const error = new MigrationError("failed", "source-gone", "source", message);
      this.#givingUp.give("fault", error);
    });
    settled.addEventListener("abort", stop, { once: true });
  }
}
