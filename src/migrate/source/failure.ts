import { asMigrationError, MigrationError, qemuGone as qemuGoneAt } from "../errors.ts";
import { STUCK } from "../guest/inspect.ts";
import { ASLEEP_STUCK, runAgain } from "../guest/run_again.ts";
import { guestStatus } from "../guest/run_states.ts";
import { askNotInactivated } from "../ram/not_inactivated.ts";
import { MAY_HAVE_PAUSED, type SourceState } from "../handover/states.ts";
import { leftHere } from "../undo.ts";
import type { SourceContext } from "./context.ts";
import { abortFirst } from "./destination.ts";
import { asleepStuck, atDestination, withLink, worded } from "./failure_words.ts";

/** What the source does when its migration fails: from the first cause until the guest runs again. */
export class Failure {
  readonly #context: SourceContext;
  /** Resolves when the destination has undone, where the source waits for that. Never rejects. */
  #aborted: Promise<void> = Promise.resolve();

  constructor(context: SourceContext) {
    this.#context = context;
    context.signal.addEventListener("abort", () => this.#onCause(), { once: true });
  }

  /** Every wait of the running phase ends by itself now, with the cause. */
  #onCause(): void {
    const { qemu } = this.#context;
    const aborted = abortFirst(this.#context);
    // Once RAM crosses, the destination's QEMU is lost anyway, and our own has to cancel in time.
    if (qemu.streamAsked) qemu.cutTargets();
    else this.#aborted = aborted.then(() => qemu.cutTargets());
  }

  /**
   * Undoes everything and has the guest run again, unless the destination may run it.
   *
   * @param thrown what ended the running phase.
   * @returns the error to report: its `kind` says where the guest is.
   */
  async undo(thrown: unknown): Promise<MigrationError> {
    const context = this.#context;
    const { state } = context;
    const from = state.current;
    const error = await this.#causeOf(thrown, from);
    if (from === "postcopy") return await this.#leaveBoth(error);
    let ran = true;
    const here: string[] = [];
    const elsewhere: string[] = [];
    let stuck: string | undefined;
    const answer = error.code === "not-started" ? "denied" : "silence";
    await state.take(from === "handover" ? answer : "fault", {
      // Begun with the cause: every moment counts.
      "call abort": () => {},
      undo: async () => {
        await this.#aborted;
        here.push(...(await context.undo.run()).here);
      },
      "qemu cont": async () => {
        ran = context.guest?.shouldRun ?? context.record.wasRunning;
        if (ran && !context.qemuGone) stuck = await this.#resumeGuest(from);
        if (stuck !== undefined) here.unshift(stuck);
      },
      // The user has to find out where a guest is that QEMU cannot resume: its record stays as it is.
      "note left": () => stuck === ASLEEP_STUCK ? undefined : context.leave(here),
      "undo there": async () => {
        elsewhere.push(...(await context.undoThere.run()).elsewhere);
      },
    });
    // The mirrors have concluded and RAM has crossed: what was undone touches neither guest.
    if (state.current === "unknown") return worded("unknown", error, []);
    // Whatever else failed, and was perhaps noticed first: the guest does not run here any more.
    if (context.qemuGone && !error.code.startsWith("guest-")) {
      const { cause } = context.qemuGone;
      return qemuGoneAt("source", cause as Error, await context.options.lastWords?.());
    }
    if (stuck === ASLEEP_STUCK) return asleepStuck(error);
    const left = [...leftHere("source", here), ...elsewhere.map(atDestination)];
    if (!ran && !context.qemuGone && await this.#isStuck()) {
      left.push(`the guest stands as before: ${STUCK}`);
    }
    const kind = error.kind === "refused" && from !== "prepare" ? "failed" : error.kind;
    return worded(kind === "unknown" ? "failed" : kind, error, left);
  }

  /** The guest lives on both hosts together: QEMU and its migration stay as they are for the next process. */
  async #leaveBoth(error: MigrationError): Promise<MigrationError> {
    const { destination, qemu, qemuGone, options } = this.#context;
    await destination?.close();
    await qemu.close();
    if (!qemuGone) return worded("unknown", error, []);
    const cause = qemuGoneAt("source", qemuGone.cause as Error, await options.lastWords?.());
    const message =
      `The guest ran at the destination, and a part of its RAM was only here. ${cause.message}`;
    return new MigrationError("unknown", "postcopy-lost", "source", message, { cause });
  }

  /** The error that counts. */
  async #causeOf(thrown: unknown, from: SourceState): Promise<MigrationError> {
    const { cause, destination, log, qmp } = this.#context;
    // In the handover the last error is the destination's answer; before, the first cause counts.
    const reason = from === "handover" || from === "postcopy" ? thrown : await cause.settle(thrown);
    const settled = withLink(destination?.peer?.session, asMigrationError(reason, "source"));
    // The end of the stream is all that the destination knows of it.
    const own = settled.code === "not-loaded" ? await askNotInactivated(qmp, log) : undefined;
    const error = own ?? settled;
    cause.take(error);
    log.log("debug", `source: failed: ${error.message}`);
    return error;
  }

  /** @returns why the guest does not run, or `undefined` when it does. */
  async #resumeGuest(from: SourceState): Promise<string | undefined> {
    const { options, qmp, clock, guest, state } = this.#context;
    const { resume } = options;
    const pausedByUs = guest?.suspended ||
      ["switchover", "handover"].includes(from) ||
      (resume !== undefined && (resume.stopped !== "no" || MAY_HAVE_PAUSED.includes(resume.state)));
    const asleep = guest?.asleep ?? this.#context.record.asleep ?? false;
    const stuck = await runAgain(qmp, clock, pausedByUs, asleep);
    // A pause from now on is somebody else's decision.
    if (stuck === undefined) state.amend({ stopped: "no" });
    return stuck;
  }

  /** A guest that was paused before is paused, but QEMU does not take a `cont` as before. */
  async #isStuck(): Promise<boolean> {
    if (!MAY_HAVE_PAUSED.includes(this.#context.record.state)) return false;
    return await guestStatus(this.#context.qmp) === "postmigrate";
  }
}
