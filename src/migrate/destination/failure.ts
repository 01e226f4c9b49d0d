/**
 * How a destination gives up: the words for it, the order of its effects, and the end of a QEMU that
 * holds a guest which must not run.
 *
 * @module
 */
import { type Clock, type Logger, messageOf, withDeadline } from "../../io/mod.ts";
import { type QmpClient, waitMigration } from "../../qmp/mod.ts";
import { RpcError } from "../../rpc/mod.ts";
import { adviceOn } from "../advice.ts";
import { inPostcopy } from "../postcopy/mod.ts";
import { type ErrorCode, MigrationError } from "../errors.ts";
import { quoteOf } from "../last_words.ts";
import { leftHere } from "../undo.ts";
import type { DestinationState } from "../handover/states.ts";
import type { DestinationContext } from "./context.ts";
import { isSilent, SILENT, silentMessage } from "./silence.ts";

export const CUT_OFF =
  "vmferry was killed while RAM was crossing. Such a migration cannot be resumed";
export const LOST = "The destination's QEMU ended after it got the command to run the guest";
export const NOT_SEEN =
  "QEMU got the command to run the guest before, and has not reported that it runs";

/** States in which the source's guest waits for this side. */
const GUEST_PAUSED: readonly DestinationState[] = ["loading", "loaded", "starting"];
/**
 * States in which QEMU may wait for a stream. Later it has all of RAM: a guest that it has loaded must be ended, and
 * one that it may run must not be killed by its owner.
 */
const RAM_CROSSES: readonly DestinationState[] = ["prepared", "loading"];
/** Longest time for QEMU to notice that the stream has ended, without progress, ms. */
const DISCARD_MS = 2_000;
/** Longest time for QEMU to end once it has begun to, ms. */
const END_MS = 10_000;
/** Longest description of a step that was not undone, characters: the journal takes no more. */
const LEFT_CHARACTERS = 1024;

/** QEMU has loaded the guest, or has failed to. */
export const isLoadOver = (status: string): boolean =>
  status === "completed" || status === "failed";

/** A failure of this side. */
export function failed(code: ErrorCode, message: string, cause?: unknown): MigrationError {
  return new MigrationError("failed", code, "destination", message, { cause });
}

/**
 * QEMU could not load the guest. It then ends, unless told not to (from 9.1 on), and says why in its
 * log; before 11.1 `query-migrate` gives no reason.
 */
export function notLoaded(cause: unknown, log: string | undefined): MigrationError {
  const quote = log === undefined ? undefined : quoteOf(log);
  const message = [
    `The guest could not be loaded: ${messageOf(cause)}`,
    ...(quote === undefined ? [] : [`QEMU says: "${quote}"`]),
  ].join(". ");
  const quoted = quote !== undefined;
  return new MigrationError("failed", "not-loaded", "destination", message, { cause, quoted });
}

/** Nobody knows whether the guest runs here, because of `cause`. */
export function unknown(cause: MigrationError): MigrationError {
  const [code, message]: [ErrorCode, string] = cause.code === "not-seen-running"
    ? [cause.code, cause.message]
    : ["lost", cause.quoted ? `${LOST}. ${cause.message}` : LOST];
  return new MigrationError("unknown", code, "destination", message, { cause });
}

/** Gives the migration up, once, and undoes what it made. */
export class GivingUp {
  readonly #context: DestinationContext;
  #left: readonly string[] = [];
  #silent = false;

  constructor(context: DestinationContext) {
    this.#context = context;
  }

  /** Descriptions of what could not be undone. */
  get left(): readonly string[] {
    return this.#left;
  }

  /** The journal must stay: something is left in QEMU. */
  get leftBehind(): boolean {
    return this.#silent || this.#left.length > 0;
  }

  /**
   * Gives the migration up, where `event` means that in the current state. The failure is the end of the
   * owner's session if that came before, else `error`.
   *
   * @param quoted `error` with a quotation from QEMU's log, once that was read.
   */
  async give(
    event: "fault" | "gone" | "refused",
    error: MigrationError,
    quoted?: Promise<MigrationError>,
  ): Promise<void> {
    const context = this.#context;
    const before = context.state;
    const to = context.driver.after(event);
    if (to === before) return;
    const isLost = to === "lost";
    context.settle();
    context.failure = isLost ? unknown(error) : context.ownerEnd ?? error;
    await context.driver.take(event, {
      undo: async () => {
        if (quoted && isLost) context.failure = unknown(await quoted);
        else if (quoted && context.failure === error) context.failure = await quoted;
        // `prepare` extends the undo list until it is over.
        await context.making;
        await context.storage.idle;
        // From "loaded" the source may have sent `finish`, and does not know that it never came here.
        if (before !== "loaded") context.told.resolve();
        if (RAM_CROSSES.includes(before)) await this.#giveUpSilent();
        await this.undoAll();
      },
      "qemu discard": () => this.discardGuest(),
      settle: () => context.outcome.resolve(),
      // The call that QEMU refused is answered with what this method was called for.
      "answer not-started": () => {},
    });
    if (isLost) return;
    const undoing = context.options.afterUndo?.() ?? Promise.resolve([]);
    // The source's guest is paused from "loading" on, until the source has the answer.
    if (!GUEST_PAUSED.includes(before)) this.#left = [...this.#left, ...await undoing];
  }

  /** Gives the migration up and ends the owner's session with the reason. */
  async giveAndTell(
    event: "fault" | "gone",
    reason: MigrationError,
    quoted?: Promise<MigrationError>,
  ): Promise<void> {
    await this.give(event, reason, quoted);
    const { failure, owner } = this.#context;
    if (!failure || (failure !== reason && failure !== await quoted)) return;
    owner?.abort([failure.message, ...adviceOn(failure)].join("; "), "stopped");
  }

  /** Gives the migration up after a call, and returns the error to answer that call with. */
  answered(error: MigrationError): RpcError {
    // The answer goes first: the source must hear it before the session can end.
    queueMicrotask(() => this.give("fault", error));
    return new RpcError(error.kind === "refused" ? "refused" : error.code, error.message);
  }

  /** Undoes everything. The journal keeps what could not be undone, for the next run with this QEMU. */
  async undoAll(): Promise<void> {
    const { undo, report } = this.#context;
    const { here } = await undo.run();
    if (here.length === 0) return;
    this.#left = here.map((text) => text.slice(0, LEFT_CHARACTERS));
    await this.#context.writeEnd({ left: [...this.#left] });
    const [message] = leftHere("destination", here);
    report({ event: "warning", code: "not-undone", message: message! });
  }

  /**
   * Closes QMP where QEMU answers nothing, so that no step waits for it until its own deadline. The record stays:
   * it says what is in this QEMU, should it answer again.
   */
  async #giveUpSilent(): Promise<void> {
    const { record, qmp, clock, owner, options, report } = this.#context;
    if (!record?.incomingStarted || record.multifd === null) return;
    if (!await isSilent(qmp, clock, () => owner?.progress ?? 0)) return;
    // The owner of a launched QEMU kills it.
    if (!options.afterUndo) {
      this.#silent = true;
      const message = silentMessage(options.qmpPath);
      report({ event: "warning", code: "destination-silent", message });
      await this.#context.writeEnd({ left: [SILENT] });
    }
    qmp.close();
  }

  /** Discards a guest that QEMU has loaded or is loading; reports when that ends QEMU. */
  async discardGuest(): Promise<void> {
    const { record, qmp, clock, log, report } = this.#context;
    if (!record?.incomingStarted) return;
    if (!await discardLoaded(qmp, clock, log)) return;
    report({
      event: "warning",
      code: "destination-quit",
      message: "The destination's QEMU had the whole guest loaded and was ended; start it anew",
    });
  }
}

/**
 * Sees a given-up guest to its end. Waits while QEMU still loads, and for a QEMU that is about to end, so
 * that the next QEMU does not meet this one. Ends a QEMU with the whole guest in it: a `cont` by anybody
 * would run the guest twice.
 *
 * @returns whether QEMU got the command to end.
 */
async function discardLoaded(qmp: QmpClient, clock: Clock, log: Logger): Promise<boolean> {
  let told = false;
  try {
    const isOver = (status: string) => isLoadOver(status) || inPostcopy(status);
    const { status } = await waitMigration(qmp, isOver, { stallMs: DISCARD_MS, clock });
    if (status !== "failed") {
      await qmp.execute("quit", {});
      told = true;
    }
    // From 9.1 on QEMU stays after a failed load (`exit-on-error`).
    if (told || !qmp.atLeast(9, 1)) {
      await withDeadline(clock, END_MS, "QEMU to end", qmp.closed);
    }
  } catch (error) {
    log.log("debug", `the destination's QEMU: ${messageOf(error)}`);
  }
  return told;
}
