import { Machine, messageOf, printable, withDeadline } from "../../io/mod.ts";
import { type QmpClient, QmpClosedError, QmpCommandError } from "../../qmp/mod.ts";
import { ChannelServer, type Params, type Result, RpcError, RpcPeer } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import {
  DESTINATION,
  type DestinationEvent,
  type DestinationState,
} from "../handover/destination_states.ts";
import { CUT_OFF, failed, LOST, NOT_SEEN, notLoaded, unknown } from "./failure.ts";
import type { DestinationOptions } from "./options.ts";
import { adviceOn } from "../advice.ts";
import { asMigrationError, MigrationError, qemuGone, refusal } from "../errors.ts";
import { IncomingEnd } from "./qemu.ts";
import { lookAt } from "../guest/inspect.ts";
import { type DestinationRecord, firstRecord } from "../journal.ts";
import { cpuFeatures, MachineDescriber } from "../machine/mod.ts";
import { GuestStart } from "./start.ts";
import { discardLoaded, guestLoaded, guestStatus, onLoadFailed } from "./load.ts";
import { exportsInQemu, nameExports, stopNbdServer } from "../disks/nbd_exports.ts";
import type { DiskPair } from "../disks/plan.ts";
import { qemuProcess } from "../qemu_process.ts";
import { COMPARE_SOCKET } from "../storage/access.ts";
import { DestinationStorage } from "../storage/destination_storage.ts";
import { versionOf, warnIfStands } from "../guest/run_states.ts";
import { lookAtImages, type TargetImage } from "../disks/target_images.ts";
import { leftHere, UndoList } from "../undo.ts";

/** How long a source may take to leave once all is over, ms. */
const LEAVE_MS = 5_000;
/** A source before 1.1 calls neither `describe` nor `describeDisks`; it prints the warnings of `prepare`. */
const OLD_SOURCE =
  "the source's vmferry is too old to compare both ends: make sure yourself that both machines are " +
  "the same and that no disk of the destination is on storage of the source";
/** Least time for a source to come back to a migration that was taken up, ms. */
const LEASE_AT_LEAST_MS = 10_000;

/**
 * The destination's side of one migration. Serves the calls of one source after another until one
 * has prepared; that session is the migration's until another attaches to it, and its end without
 * `finish` undoes everything.
 */
export class DestinationMigration {
  readonly #options: DestinationOptions;
  readonly #qmp: QmpClient;
  readonly #machine: Machine<DestinationState, DestinationEvent>;
  readonly #undo: UndoList;
  readonly #outcome = Promise.withResolvers<void>();
  #images: TargetImage[] | null = null;
  #record: DestinationRecord | undefined;
  #left: readonly string[] = [];
  #owner: Session | undefined;
  readonly #end: IncomingEnd;
  readonly #storage: DestinationStorage;
  /** Resolves when nothing more is being made in QEMU. */
  #preparing: Promise<void> = Promise.resolve();
  #load: Promise<Result<"load">> | undefined;
  readonly #guest: GuestStart;
  #stopLease: () => void = () => {};
  /** Resolves when all that was to be written down has been, or can't be. */
  #written: Promise<void> = Promise.resolve();
  /** Why the session of the source ended, if it did. */
  #cause: MigrationError | undefined;
  #failure: MigrationError | undefined;
  #arrivedAs: string | null = null;
  readonly #told = Promise.withResolvers<void>();
  readonly #sessions = new Set<Session>();

  constructor(options: DestinationOptions) {
    const { resume, log, clock } = options;
    this.#options = options;
    this.#qmp = options.qmp;
    this.#record = resume;
    this.#machine = new Machine<DestinationState, DestinationEvent>(
      "destination",
      resume?.state ?? "waiting",
      DESTINATION,
      log,
    );
    this.#undo = new UndoList(clock, log);
    this.#end = new IncomingEnd(options, this.#undo);
    const socketPath = options.runDir.path(COMPARE_SOCKET);
    this.#storage = new DestinationStorage({ ...options, socketPath }, options.disks);
    this.#guest = new GuestStart(options.qmp, clock, (message) => {
      this.#giveAndTell("gone", failed("not-seen-running", message));
    });
    options.qmp.closed.then((cause) => {
      const quoted = options.lastWords?.().then((log) => qemuGone("destination", cause, log));
      return this.#giveAndTell("gone", qemuGone("destination", cause), quoted);
    });
  }

  /**
   * Resolves when the guest runs here.
   *
   * @throws {MigrationError} when nothing came of it; everything is undone by then.
   */
  async outcome(): Promise<void> {
    await this.#outcome.promise;
    if (this.#failure) throw this.#failure;
  }

  /**
   * Resolves when the source knows for certain what became of the guest here: it has heard the word
   * on it, or never asked for the guest to be run.
   */
  get told(): Promise<void> {
    return this.#told.promise;
  }

  /** The session of the source whose guest this one is to be, once it has come. */
  get source(): Session | undefined {
    return this.#owner;
  }

  /** QEMU was given its one incoming migration, or may have been. */
  get memoryBegan(): boolean {
    return this.#record?.incomingStarted ?? false;
  }

  /** QEMU's run state when the guest was started or left paused; `null` before, or where unknown. */
  get guestStatus(): string | null {
    return this.#arrivedAs;
  }

  /** Something could not be undone: what was written down must stay. */
  get leftBehind(): boolean {
    return this.#left.length > 0;
  }

  /** Bytes that crossed the tunnel, both directions. */
  get bytes(): number {
    return this.#owner?.bytes ?? 0;
  }

  /** Takes up what a process that was killed has left; to be called before any source is served. */
  async takeUp(): Promise<void> {
    const record = this.#options.resume!;
    this.#end.takeUp(record);
    switch (this.#machine.current) {
      case "waiting":
        // Killed while it prepared: the source asks for that again.
        await this.#undoAll();
        this.#record = undefined;
        break;
      case "starting":
        // The source has handed it over: it waits for nothing but our word.
        await this.#guest.once(() => this.#start(record.run ?? true)).catch(() => {});
        return;
      case "finished":
        this.#arrivedAs = await guestStatus(this.#qmp) ?? null;
        await this.#undoAll();
        this.#outcome.resolve();
        return;
      case "loading":
        return await this.#give("fault", failed("cut-off", CUT_OFF));
      case "prepared": {
        if (record.incomingStarted) return await this.#give("fault", failed("cut-off", CUT_OFF));
        const there = await exportsInQemu(this.#qmp, record.exports);
        if (there.length === record.exports.length) break;
        const message = "QEMU has not the exports that were made: it was started anew since";
        return await this.#give("fault", failed("exports-gone", message));
      }
      case "lost":
        // QEMU is there, or nothing would be left to take up.
        this.#failure = unknown(failed("not-seen-running", NOT_SEEN));
        await this.#undoAll();
        this.#outcome.resolve();
        return;
      case "failed":
        this.#failure = failed("given-up", "The migration was given up here before");
        await this.#undoAll();
        await this.#discardLoadedGuest();
        this.#outcome.resolve();
        return;
    }
    const waitMs = Math.max(LEASE_AT_LEAST_MS, this.#options.graceMs);
    this.#stopLease = this.#options.clock.after(waitMs, () => {
      const message = `The source did not come back within ${waitMs / 1000} s`;
      this.#give("fault", failed("source-gone", message));
    });
  }

  /** Ends it from this side and tells the source, unless the guest is on its way to run here. */
  async cancel(reason: MigrationError): Promise<void> {
    await this.#giveAndTell("fault", reason);
  }

  /** Waits until the sources have heard how it ended and have left, but not for long. */
  async leave(): Promise<void> {
    const { clock } = this.#options;
    await Promise.all([...this.#sessions].map(async (session) => {
      // One of a source that was killed before it had prepared anything: nobody comes back to it.
      if (session !== this.#owner && session.state === "down") {
        session.abort("It is over", "stopped");
      }
      await withDeadline(clock, LEAVE_MS, "the source to leave", session.ended).catch(() => {
        session.abort(this.#failure?.message ?? "The migration is over", "stopped");
      });
      await session.close();
    }));
  }

  /** Serves a session that a source has opened. */
  serve(session: Session): void {
    this.#sessions.add(session);
    const { clock, log } = this.#options;
    const channels = new ChannelServer(session, (end) => {
      if (end.error) log.log("debug", `channel ${end.channel}: ${end.error.message}`);
    });
    let answeredStatus = false;
    const describer = new MachineDescriber(this.#qmp);
    let wasCompared = false;
    const rpc = new RpcPeer(session.rpc, {
      clock,
      log,
      onFault: (error) => session.abort(error.message, "protocol-error"),
      handlers: {
        describe: (params) => describer.page(params),
        cpuFeatures: async () => ({ features: await cpuFeatures(this.#qmp) }),
        describeDisks: (params) => {
          wasCompared = true;
          return this.#idle().describe(params);
        },
        compareBlocks: (params) => this.#idle().compare(params),
        prepare: async (params) => {
          const isFirst = this.#record?.migration !== params.migration;
          const result = await this.#prepare(session, channels, params);
          // A source without disks to compare has no storage to lose.
          if (wasCompared || !isFirst || params.disks.length === 0) return result;
          return { ...result, warnings: [...result.warnings, OLD_SOURCE] };
        },
        attach: (params) => Promise.resolve(this.#attach(session, channels, params)),
        openTunnel: (params) => channels.open(params),
        load: () => this.#onLoad(session),
        finish: (params) => this.#onFinish(session, params),
        abort: (params) => this.#onAbort(session, params),
        status: (params) => {
          answeredStatus = this.#record?.migration === params.migration &&
            ["finished", "failed", "lost"].includes(this.#machine.current);
          return this.#status(params);
        },
      },
    });
    session.ended.then(async (cause) => {
      this.#sessions.delete(session);
      // QEMU may end for want of its stream, and be heard of first.
      if (session === this.#owner && cause) this.#cause ??= asMigrationError(cause, "destination");
      await channels.join();
      await rpc.join();
      const finished = this.#machine.current === "finished";
      // An end that the source chose comes after the answer to whatever it had asked.
      const left = !cause || cause.code === "ended-by-peer";
      if (left && (answeredStatus || (finished && session === this.#owner))) {
        this.#told.resolve();
      }
      if (session !== this.#owner) return;
      const error = cause
        ? asMigrationError(cause, "destination")
        : new MigrationError("failed", "source-gone", "source", "The source ended the session");
      await this.#give("fault", error);
    });
  }

  // Preparing

  /** What looks at storage, while no migration uses it. */
  #idle(): DestinationStorage {
    this.#assertIdle();
    return this.#storage;
  }

  #assertIdle(): void {
    // Cancelled while the source compared the machines: that is the reason, and no other migration.
    if (!this.#owner && this.#failure) {
      throw new RpcError(this.#failure.code, this.#failure.message);
    }
    if (this.#owner || this.#machine.current !== "waiting") {
      throw new RpcError("refused", "Another migration is under way here");
    }
  }

  async #prepare(
    session: Session,
    channels: ChannelServer,
    params: Params<"prepare">,
  ): Promise<Result<"prepare">> {
    const result = {
      qemuVersion: versionOf(this.#qmp),
      exports: [],
      warnings: [],
      images: null,
      recover: this.#options.recoverCommand,
    };
    if (this.#record?.migration === params.migration && !params.checkOnly) {
      // Its tool was killed before it knew that all was prepared.
      await this.#preparing;
      return { ...result, images: this.#images, ...this.#attach(session, channels, params) };
    }
    this.#assertIdle();
    if (params.checkOnly) {
      const { problems } = await lookAt(this.#qmp, params, this.#options.disks);
      if (problems.length > 0) throw new RpcError("refused", problems.join("; "), problems);
      return result;
    }
    // Before anything is waited for: of two sources that come at once, one is refused.
    this.#owner = session;
    const { qmpPath, listen } = this.#options;
    this.#record = firstRecord({ migration: params.migration, qmp: qmpPath, listen });
    const making = this.#make(session, channels, params);
    this.#preparing = making.then(() => {}, () => {});
    return { ...result, exports: await making, images: this.#images };
  }

  async #make(
    session: Session,
    channels: ChannelServer,
    params: Params<"prepare">,
  ): Promise<DestinationRecord["exports"]> {
    try {
      await this.#options.claimed?.(session);
      // A comparison uses QEMU's one NBD server.
      await this.#storage.idle;
      const { guest, pairs, problems } = await lookAt(this.#qmp, params, this.#options.disks);
      if (problems.length > 0) throw refusal("refused", "destination", problems);
      this.#options.report({ event: "phase", phase: "prepare" });
      const exports = await this.#export(guest, pairs);
      this.#serveChannels(channels);
      this.#options.report({ event: "phase", phase: "mirror" });
      return exports;
    } catch (error) {
      throw this.#answered(asMigrationError(error, "destination"));
    }
  }

  /** Another session of the same source: its tool, or ours, was started again. */
  #attach(
    session: Session,
    channels: ChannelServer,
    { migration }: Params<"attach">,
  ): Result<"attach"> {
    if (this.#record?.migration !== migration) {
      throw new RpcError("unknown-migration", "No such migration is known here (any more)");
    }
    const state = this.#machine.current;
    if (state === "loading" || (state === "prepared" && this.#record.incomingStarted)) {
      throw new RpcError("refused", "The memory was crossing already, that can't be taken up");
    }
    this.#stopLease();
    const old = this.#owner;
    this.#owner = session;
    this.#cause = undefined;
    old?.abort("The source took its migration over in another session", "stopped");
    if (state === "prepared") this.#serveChannels(channels);
    return { state, exports: this.#record.exports };
  }

  async #export(
    guest: string,
    pairs: readonly DiskPair[],
  ): Promise<DestinationRecord["exports"]> {
    // In this state it does not stop anything: it keeps QEMU from starting the guest by itself
    // when the last byte has come. Only `finish` starts it.
    await this.#qmp.execute("stop", {});
    const exports = nameExports(pairs);
    const settings = await this.#end.plan();
    const qemu = await qemuProcess(this.#qmp);
    await this.#write({ guest, exports, settings: settings.before, qemu });
    await this.#end.make(settings, pairs, exports);
    this.#images = await lookAtImages(this.#qmp, pairs, this.#options.log);
    await this.#enter("exported");
    return exports;
  }

  #serveChannels(channels: ChannelServer): void {
    this.#end.serveOn(channels, () => this.#startIncoming());
  }

  /** Once in QEMU's life, so as late as can be: when the first byte is about to come. */
  async #startIncoming(): Promise<void> {
    if (this.#record!.incomingStarted) throw new RpcError("failed", "The memory has come already");
    await this.#write({ incomingStarted: true });
    await this.#end.startIncoming();
    onLoadFailed(this.#qmp, this.#options.clock, (error) => this.#notLoaded(error));
    this.#options.report({ event: "phase", phase: "ram" });
  }

  /** Before `load` nobody waits for QEMU's word. */
  async #notLoaded(cause: unknown): Promise<void> {
    const error = notLoaded(cause, await this.#options.lastWords?.());
    if (this.#machine.current === "prepared") await this.#giveAndTell("fault", error);
  }

  // The handover

  #onLoad(session: Session): Promise<Result<"load">> {
    this.#assertOwner(session);
    return this.#load ??= this.#runLoad();
  }

  async #runLoad(): Promise<Result<"load">> {
    const { clock, log, report } = this.#options;
    await this.#enter("load");
    report({ event: "phase", phase: "switchover" });
    try {
      await Promise.all([
        guestLoaded(this.#qmp, clock, () => this.#owner),
        stopNbdServer(this.#qmp, log),
      ]);
      await this.#enter("completed");
      return {};
    } catch (error) {
      // It was given up here, and QEMU ended with its stream: the session ends with the reason.
      if (this.#failure) throw new RpcError("failed", this.#failure.message);
      throw this.#answered(notLoaded(error, await this.#options.lastWords?.()));
    }
  }

  #onFinish(session: Session, { run }: Params<"finish">): Promise<Result<"finish">> {
    this.#assertOwner(session);
    switch (this.#machine.current) {
      case "failed":
        throw new RpcError("not-started", this.#failure?.message ?? "It was given up here");
      case "lost":
        throw this.#lost;
    }
    return this.#guest.once(() => this.#start(run));
  }

  get #lost(): RpcError {
    return new RpcError("lost", this.#failure?.message ?? LOST);
  }

  async #start(run: boolean): Promise<Result<"finish">> {
    // Written down first: whoever takes this up must know that the guest may run here.
    if (this.#machine.current !== "starting") await this.#enter("finish", { run });
    this.#options.report({ event: "phase", phase: "handover" });
    const status = await this.#run(run);
    this.#arrivedAs = status;
    if (run) warnIfStands(status, this.#options.report);
    await this.#enter("runs");
    this.#stopLease();
    this.#guest.over();
    await this.#undoAll();
    this.#options.report({ event: "phase", phase: "done" });
    this.#outcome.resolve();
    return { status };
  }

  async #run(run: boolean): Promise<string> {
    try {
      return await this.#guest.carryOut(run, () => {
        if (this.#machine.current === "lost") throw this.#lost;
      });
    } catch (error) {
      if (error instanceof QmpCommandError) throw await this.#refused(error);
      throw error instanceof QmpClosedError ? this.#lost : error;
    }
  }

  #assertOwner(session: Session): void {
    if (session !== this.#owner) {
      throw new RpcError("failed", "This session has not prepared a migration");
    }
  }

  async #refused(cause: unknown): Promise<RpcError> {
    const message = `The guest could not be started: ${messageOf(cause)}`;
    await this.#give("refused", failed("not-started", message, cause));
    return new RpcError("not-started", message);
  }

  async #status({ migration }: Params<"status">): Promise<Result<"status">> {
    // What became of another guest says nothing of this one.
    if (this.#record?.migration !== migration) return { state: "waiting", guest: null };
    const guest = await guestStatus(this.#qmp) ?? null;
    // What is told must be what whoever takes this up would find.
    await this.#written;
    return { state: this.#machine.current, guest };
  }

  // Giving up

  async #onAbort(
    session: Session,
    { reason, cancelled, code, side }: Params<"abort">,
  ): Promise<Result<"abort">> {
    if (session !== this.#owner) return { left: null };
    if (this.#guest.begun) throw new RpcError("failed", "The guest was handed over already");
    const kind = cancelled ? "cancelled" : "failed";
    // A source that gives up has not asked for the guest to be run, and never will.
    this.#told.resolve();
    // What the source has found may be a fault of ours, and what is to be done is to be done here.
    const word = printable(code ?? "aborted-by-source", 64);
    await this.#give("fault", new MigrationError(kind, word, side ?? "source", reason));
    return { left: [...this.#left] };
  }

  /** Gives it up and ends the source's session with the reason, or with what `quoted` adds to it. */
  async #giveAndTell(
    event: "fault" | "gone",
    reason: MigrationError,
    quoted?: Promise<MigrationError>,
  ): Promise<void> {
    await this.#give(event, reason, quoted);
    const failure = this.#failure;
    if (!failure || (failure !== reason && failure !== await quoted)) return;
    this.#owner?.abort([failure.message, ...adviceOn(failure)].join("; "), "stopped");
  }

  /** The failure as an answer to a call; the answer must be out before the session's owner may end it. */
  #answered(error: MigrationError): RpcError {
    queueMicrotask(() => this.#give("fault", error));
    return new RpcError(error.kind === "refused" ? "refused" : error.code, error.message);
  }

  /**
   * Gives it up, where the event means that in this state: undoes everything, ends with `error`, or with
   * `quoted`, which waits for QEMU's log.
   */
  async #give(
    event: "fault" | "gone" | "refused",
    error: MigrationError,
    quoted?: Promise<MigrationError>,
  ): Promise<void> {
    const before = this.#machine.current;
    if (!this.#machine.take(event)) return;
    this.#stopLease();
    this.#guest.over();
    const isLost = this.#machine.current === "lost";
    this.#failure = isLost ? unknown(error) : this.#cause ?? error;
    // Before a source that asks can be told: whoever takes this up must not start the guest.
    await this.#write({ state: this.#machine.current }).catch((failure) =>
      this.#options.log.log("warning", `the journal: ${messageOf(failure)}`)
    );
    if (quoted && isLost) this.#failure = unknown(await quoted);
    else if (quoted && this.#failure === error) this.#failure = await quoted;
    // What is being made goes on the undo list as it is made.
    await this.#preparing;
    await this.#storage.idle;
    // The source may have asked for the guest to be run, and not know that we never heard of it.
    if (before !== "loaded") this.#told.resolve();
    await this.#undoAll();
    if (this.#machine.current === "failed") await this.#discardLoadedGuest();
    this.#outcome.resolve();
  }

  /** What can't be undone is written down, for whoever begins the next migration with this QEMU. */
  async #undoAll(): Promise<void> {
    const { here } = await this.#undo.run();
    if (here.length === 0) return;
    this.#left = here.map((text) => text.slice(0, 1024));
    await this.#write({ left: [...this.#left] }).catch((failure) =>
      this.#options.log.log("warning", `the journal: ${messageOf(failure)}`)
    );
    const [message] = leftHere("destination", here);
    this.#options.report({ event: "warning", code: "not-undone", message: message! });
  }

  async #discardLoadedGuest(): Promise<void> {
    if (!this.#record?.incomingStarted) return;
    const { clock, log } = this.#options;
    if (!await discardLoaded(this.#qmp, clock, log)) return;
    this.#options.report({
      event: "warning",
      code: "destination-quit",
      message: "The destination's QEMU had the whole guest loaded and was ended; start it anew",
    });
  }

  // The journal

  /** What is about to be so, once it is written down. Throws when it was given up meanwhile. */
  async #enter(event: DestinationEvent, change: Partial<DestinationRecord> = {}): Promise<void> {
    const before = this.#machine.current;
    const next = DESTINATION[before][event];
    if (next === undefined) {
      const message = this.#failure?.message ?? `No "${event}" in state "${before}"`;
      throw new RpcError("failed", message);
    }
    await this.#write({ ...change, state: next });
    if (this.#machine.current !== before) {
      throw new RpcError("failed", this.#failure?.message ?? "It was given up here");
    }
    this.#machine.take(event);
  }

  async #write(change: Partial<DestinationRecord>): Promise<void> {
    // Before a source has come there is nothing to take up.
    if (!this.#record) return;
    this.#record = { ...this.#record, ...change };
    const written = this.#options.journal.write(this.#record);
    this.#written = written.catch(() => {});
    await written;
  }
}
