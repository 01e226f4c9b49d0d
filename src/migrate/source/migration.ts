import { abortable, Machine, messageOf, withDeadline } from "../../io/mod.ts";
import { type QmpClient, queryMigrate } from "../../qmp/mod.ts";
import { Attachment } from "./destination_link.ts";
import { activateArrived } from "../guest/activate.ts";
import { DiscardWatch } from "../guest/discards.ts";
import { ABORT_MS, DestinationPeer, problemsThere } from "./destination_peer.ts";
import { asMigrationError, MigrationError, qemuGone } from "../errors.ts";
import { type Phase, TOO_LATE } from "../events.ts";
import { FirstCause } from "../first_cause.ts";
import { GuestWatch, type GuestWatchOptions } from "../guest/watch.ts";
import { giveMemory } from "./ram_crossed.ts";
import { GuestStops, type Held } from "../guest/pauses.ts";
import { handOver, tellAnswered } from "../handover/ask.ts";
import { inspectGuest, STUCK } from "../guest/inspect.ts";
import { firstSourceRecord, type SourceRecord } from "../journal.ts";
import { guestStatus } from "../destination/load.ts";
import { MachineGuard } from "../machine/mod.ts";
import type { Mirror, MirrorSet } from "../disks/mirror_set.ts";
import { OutgoingEnd } from "./qemu.ts";
import { probeExports } from "../disks/probe_exports.ts";
import { ProgressTicker } from "../progress/ticker.ts";
import { qemuProcess } from "../qemu_process.ts";
import type { Ram } from "./ram.ts";
import { ASLEEP_STUCK, runAgain } from "../guest/run_again.ts";
import { carriesAsleep, isToRun, runs, versionOf } from "../guest/run_states.ts";
import { needsSinglePass, singlePassWarning } from "./single_pass.ts";
import { chooseDisks, mirrorsOf } from "./disks.ts";
import { asleepStuck, withLink, worded } from "./failure.ts";
import { compareOrRefuse } from "./storage.ts";
import {
  resumedAt,
  SOURCE,
  type SourceEvent,
  type SourceState,
} from "../handover/source_states.ts";
import type { Migrated, SourceOptions } from "./options.ts";
import { thickened } from "../disks/target_images.ts";
import { leftHere, UndoList } from "../undo.ts";

/**
 * Round trips that it takes to get a disk in step once the guest is held: QEMU waits for what is under
 * way and flushes the disk as it stops the guest, then copies what is left and flushes again.
 */
const HOLD_TRIPS = 4;

/** How long the destination may take to take back what it prepared before anything ends here, ms. */
const TELL_MS = 2_000;

/** States in which the migration may be what has stopped the guest. */
const STANDS: readonly SourceState[] = ["ram", "switchover", "handover", "undone", "unknown"];

/** States in which it may still change whether the guest is to run. */
const UNSETTLED: readonly SourceState[] = ["prepare", "mirror", "ram", "switchover"];

/** The source's side of one migration: from the first look at QEMU to the guest's new home. */
export class SourceMigration {
  readonly #options: SourceOptions;
  readonly #qmp: QmpClient;
  readonly #machine: Machine<SourceState, SourceEvent>;
  readonly #undo: UndoList;
  /** Aborted with the first cause of a failure; every wait before the handover listens to it. */
  readonly #stop: FirstCause;
  #guest: GuestWatch | undefined;
  /** That our QEMU has ended, once it has. */
  #gone: MigrationError | undefined;
  readonly #end: OutgoingEnd;
  #record: SourceRecord;
  #leftBehind = false;
  #attachment: Attachment | undefined;
  #stoppedAt: number | undefined;
  #discards: DiscardWatch | undefined;
  /** QEMU cannot continue the guest once its RAM has crossed, see `ASLEEP_STUCK`. */
  #noWayBack = false;
  #asleepCanGo: boolean;
  readonly #stops: GuestStops;
  /** Resolves when the destination was told that nothing comes of it, where that is waited for. */
  #told: Promise<void> = Promise.resolve();
  #progress: ProgressTicker | undefined;
  #machineGuard: MachineGuard | undefined;

  constructor(options: SourceOptions) {
    const { resume, qmp, log, clock } = options;
    this.#options = options;
    this.#qmp = qmp;
    this.#asleepCanGo = carriesAsleep(versionOf(qmp));
    const initial = resume ? resumedAt(resume.state) : "prepare";
    this.#machine = new Machine<SourceState, SourceEvent>("source", initial, SOURCE, log);
    this.#undo = new UndoList(clock, log);
    this.#stop = new FirstCause(clock);
    this.#stop.signal.addEventListener("abort", () => {
      const told = this.#tellWhy();
      // Once memory crosses, the destination's QEMU is lost anyhow, and our own is to cancel in time.
      if (this.#end.streamAsked) this.#end.cutTargets();
      else this.#told = told.then(() => this.#end.cutTargets());
    }, { once: true });
    this.#stops = new GuestStops({
      ...{ clock, report: options.report, signal: this.#stop.signal },
      guest: () => this.#guest,
      write: (stopped) => this.#write({ stopped }),
      holdMs: () => options.limits.maxDowntimeMs + HOLD_TRIPS * this.#rttMs,
      onFault: (error) => this.#fault(error),
    });
    this.#end = new OutgoingEnd({
      ...options,
      attachment: () => this.#attachment,
      ramCrosses: () => this.#machine.current === "ram",
      onFault: (error) => this.#fault(error),
    }, this.#undo);
    const { qmpPath, destination } = options;
    this.#record = resume ?? firstSourceRecord({ qmp: qmpPath, destination });
  }

  /** Bytes that crossed the tunnel so far, both directions. */
  get bytes(): number {
    return this.#attachment?.bytes ?? 0;
  }

  /** The destination's QEMU was given its one incoming migration, or may have been. */
  get memoryBegan(): boolean {
    const { resume } = this.#options;
    return this.#end.streamAsked || (resume !== undefined && STANDS.includes(resume.state));
  }

  /** Something could not be undone: what was written down must stay. */
  get leftBehind(): boolean {
    return this.#leftBehind;
  }

  /** What was written down last; of use to whoever must look for the guest. */
  get record(): SourceRecord {
    return this.#record;
  }

  /**
   * Carries the guest over.
   *
   * @throws {MigrationError} whose `kind` says where the guest is; all of ours is undone by then,
   * except with `unknown`.
   */
  async run(): Promise<Migrated> {
    const { signal, resume } = this.#options;
    const onCancel = () => {
      // It could not be continued here any more: the destination is the only way.
      if (!this.#noWayBack) return this.#fault(signal.reason);
      this.#options.report({ event: "warning", code: "too-late", message: TOO_LATE });
    };
    signal.addEventListener("abort", onCancel, { once: true });
    if (signal.aborted) onCancel();
    this.#qmp.closed.then((cause) => this.#fault(this.#gone = qemuGone("source", cause)));
    const stopEvents = this.#qmp.onEvent(({ event, data }) => {
      // QEMU drains all disks when its migration has failed, before it answers anything.
      if (event === "MIGRATION" && data.status === "failed") this.#end.cutTargets();
      if (event === "STOP") this.#stoppedAt ??= this.#options.clock.now();
      // A guest that was resumed by somebody has not been stopped by us.
      if (event === "RESUME") this.#stoppedAt = undefined;
    });
    try {
      return await (resume ? this.#goOn(resume) : this.#begin());
    } catch (error) {
      throw await this.#failed(error);
    } finally {
      signal.removeEventListener("abort", onCancel);
      stopEvents();
      this.#guest?.[Symbol.dispose]();
      this.#machineGuard?.[Symbol.dispose]();
      this.#progress?.stop();
    }
  }

  async #begin(): Promise<Migrated> {
    this.#phase("prepare");
    const guest = await inspectGuest(this.#qmp);
    this.#guest = new GuestWatch(runs(guest.status), this.#watching());
    const chosen = await chooseDisks(this.#qmp, guest, this.#options.disks, this.#options);
    const { disks, shared } = chosen;
    for (const message of chosen.warnings) {
      this.#options.report({ event: "warning", code: "stays-behind", message });
    }
    if (runs(guest.status) && await needsSinglePass(this.#qmp)) {
      const message = singlePassWarning(this.#qmp);
      this.#options.report({ event: "warning", code: "single-pass", message });
    }
    await this.#guardMachine();
    const { name, uuid } = guest.description;
    await this.#guest.look(runs);
    const qemu = await qemuProcess(this.#qmp);
    await this.#write({ wasRunning: this.#guest.shouldRun, guest: name ?? uuid ?? "", qemu });
    const peer = await this.#connect(this.#stop.signal);
    this.#hold(peer);
    const announced = {
      ...{ migration: this.#record.migration, guest: guest.description, disks },
      shared: shared.length > 0 ? shared : null,
    };
    // One that has prepared for this migration was compared by the process that was killed.
    if (!await this.#isPrepared(peer)) {
      await this.#machineGuard!.compare(
        peer,
        this.#stop.signal,
        () => problemsThere(peer, announced, this.#stop.signal),
      );
      await compareOrRefuse({ ...this.#options, peer, chosen, signal: this.#stop.signal });
    }
    const prepared = await peer.prepare({ ...announced, checkOnly: false }, this.#stop.signal);
    for (const message of prepared.warnings) {
      this.#options.report({ event: "warning", code: "destination", message });
    }
    const images = prepared.images ?? [];
    for (const message of thickened(this.#qmp, images)) {
      this.#options.report({ event: "warning", code: "not-thin", message });
    }
    this.#asleepCanGo &&= carriesAsleep(prepared.qemuVersion);
    this.#guest.checkAsleep();
    const mirrors = mirrorsOf(disks, prepared.exports, images);
    const awayMs = peer.session.patienceMs;
    await probeExports(peer, mirrors, { awayMs, signal: this.#stop.signal });
    const { runDir, removeFile, log } = this.#options;
    await activateArrived({
      ...{ qmp: this.#qmp, status: guest.status, removeFile, log },
      socketPath: runDir.path("activate.sock"),
    });
    await this.#enter("prepared", { mirrors, recoverThere: prepared.recover });
    const made = await this.#makeMirrors(mirrors);
    await this.#end.serveMirrors();
    return await this.#copy(made);
  }

  /** The destination is ready for this migration already: another process has called `prepare`. */
  async #isPrepared(peer: DestinationPeer): Promise<boolean> {
    if (!this.#options.resume) return false;
    return (await peer.status(this.#record.migration)).state === "prepared";
  }

  /** Takes up what a process that was killed has left. */
  async #goOn(record: SourceRecord): Promise<Migrated> {
    if (this.#machine.current !== "prepare") {
      this.#guest = new GuestWatch(record.wasRunning, this.#watching());
      if (UNSETTLED.includes(record.state)) {
        await this.#guest.look((status) => isToRun(status, record));
      }
    }
    switch (this.#machine.current) {
      case "prepare":
        return await this.#begin();
      case "mirror": {
        this.#phase("mirror");
        const attachment = this.#hold(undefined);
        const mirrors = await this.#makeMirrors(record.mirrors);
        // Before anything that waits for the link; after what takes back what was begun, if it can't run.
        if (record.stopped === "held") await this.#letGo();
        await this.#end.serveMirrors();
        await this.#guardMachine();
        await abortable(attachment.ready(), this.#stop.signal);
        return await this.#copy(mirrors);
      }
      default:
        await this.#end.takeUp(record);
    }
    if (this.#machine.current === "done") {
      await tellAnswered({
        migration: record.migration,
        connect: (signal) => this.#connect(signal),
      }).catch((error) => this.#options.log.log("info", `the destination: ${messageOf(error)}`));
      return await this.#arrived(this.#record.wasRunning ? null : "paused");
    }
    if (this.#machine.current === "handover") return await this.#handOver();
    throw new MigrationError(
      "failed",
      "cut-off",
      "source",
      "The migration was cut off while memory was crossing, which can't be taken up: all of it " +
        "was undone",
    );
  }

  /**
   * Stops the guest as soon as only what it changes is left to copy, so that this ends. It runs again
   * at the destination, or here if that fails.
   */
  suspend(why: string): void {
    this.#stops.suspend(why);
  }

  /** A guest that was held when its tool was killed: it was to stand for a moment. */
  async #letGo(): Promise<void> {
    const stuck = await runAgain(this.#qmp, this.#options.clock, true, false);
    if (stuck !== undefined) throw new MigrationError("failed", "guest-held", "source", stuck);
    await this.#write({ stopped: "no" });
  }

  /** Without a link QEMU would wait for it before it has stopped the guest, and the guest with it. */
  async #holdFor(disk: string, mirrors: MirrorSet): Promise<Held | undefined> {
    if (this.#attachment?.peer?.session.state !== "up") return undefined;
    return await this.#stops.hold((signal) => mirrors.ready(disk, signal));
  }

  /** Shortest round trip to the destination so far, ms. */
  get #rttMs(): number {
    return this.#attachment?.peer?.session.rttMs ?? 0;
  }

  async #guardMachine(): Promise<void> {
    this.#machineGuard = await MachineGuard.begin({
      ...this.#options,
      onFault: (error) => this.#fault(error),
    });
  }

  #watching(): GuestWatchOptions {
    const { report, log } = this.#options;
    return {
      ...{ qmp: this.#qmp, report, log },
      onFault: (error) => this.#fault(error),
      onShouldRun: (wasRunning) => {
        // Once it is handed over, that is settled.
        if (!UNSETTLED.includes(this.#machine.current)) return;
        this.#write({ wasRunning }).catch((error) => this.#fault(error));
      },
      asleepCanGo: () => this.#asleepCanGo,
    };
  }

  async #copy(mirrors: MirrorSet): Promise<Migrated> {
    const stop = this.#stop.signal;
    const { clock, report } = this.#options;
    this.#progress = new ProgressTicker({
      ...{ clock, report, mirrors, crossed: () => this.bytes },
      onceThrough: () => this.#stops.due(),
      hold: (disk) => this.#holdFor(disk, mirrors),
    });
    this.#discards = new DiscardWatch(this.#qmp, mirrors.progress.map(({ name }) => name));
    await mirrors.start(stop);
    await mirrors.allReady(stop);
    // A guest that was held for the last of them runs again before its memory begins to cross.
    await this.#stops.holdNoMore();

    const ram = await this.#startRam(mirrors);
    await ram.preSwitchover();
    this.#end.guestStopped();

    stop.throwIfAborted();
    this.#progress.stop();
    // QEMU is told before anybody else is: the guest stands still.
    const finishing = mirrors.finish(stop);
    finishing.catch(() => {});
    this.#pass("stopped");
    await Promise.all([finishing, this.#machineGuard!.look()]);
    stop.throwIfAborted();
    this.#noWayBack = this.#guest!.asleep;
    await giveMemory(ram, this.#attachment!.peer!, this.#stop, clock);

    // From the moment that this is written down, only the destination's word brings us back.
    await this.#enter("crossed", { wasRunning: this.#guest!.shouldRun });
    return await this.#handOver();
  }

  async #handOver(): Promise<Migrated> {
    const { clock, log, report, graceMs } = this.#options;
    const guest = await handOver({
      peer: this.#attachment?.peer,
      migration: this.#record.migration,
      run: this.#record.wasRunning,
      graceMs,
      connect: (signal) => this.#connect(signal),
      clock,
      log,
      report,
    });
    this.#machine.take("answered");
    return await this.#arrived(guest);
  }

  async #arrived(guest: string | null): Promise<Migrated> {
    const answeredAt = this.#options.clock.now();
    // The guest is there, whatever becomes of this end now.
    const tolerate = (error: unknown) =>
      this.#options.log.log("debug", `source: ${messageOf(error)}`);
    await this.#write({ state: "done" }).catch(tolerate);
    const stoppedAt = this.#record.wasRunning ? this.#stoppedAt : undefined;
    const pauseMs = stoppedAt === undefined ? null : answeredAt - stoppedAt;
    const info = await queryMigrate(this.#qmp).catch(tolerate);
    const downtimeMs = info?.downtimeMs ?? null;
    const discarded = await this.#discards?.dropped() ?? [];
    await this.#endCleanly();
    this.#options.report({ event: "phase", phase: "done" });
    return { downtimeMs, pauseMs, guest, bytes: this.bytes, discarded };
  }

  // The destination

  async #connect(signal: AbortSignal): Promise<DestinationPeer> {
    return new DestinationPeer(await this.#options.connect(signal), this.#options);
  }

  /** From now on the peer's end is the migration's, and what it prepares is taken back with ours. */
  #hold(first: DestinationPeer | undefined): Attachment {
    const { clock, log, graceMs, limits } = this.#options;
    const adopt = ({ session }: DestinationPeer) => {
      limits.holdSession(session);
      // The one before may have ended while its link was away.
      this.#end.linkChanged("up");
      session.onLink(({ state }) => this.#end.linkChanged(state));
    };
    if (first) adopt(first);
    const attachment = new Attachment(first, {
      connect: (signal) => this.#connect(signal),
      migration: this.#record.migration,
      graceMs,
      mayReattach: () => this.#machine.current === "mirror" && !this.#stop.signal.aborted,
      onReattached: adopt,
      onLost: (cause) => this.#fault(cause),
      clock,
      log,
    });
    this.#attachment = attachment;
    this.#undo.add("the session", () => attachment.close());
    this.#undo.add("what the destination prepared", () => this.#abort(attachment), {
      ...{ ms: ABORT_MS, elsewhere: true },
    });
    return attachment;
  }

  /**
   * The reason is to be at the destination before anything ends: its QEMU ends with the memory's stream,
   * and has exports that are to be removed before their clients leave. Never rejects, and not for long.
   */
  async #tellWhy(): Promise<void> {
    // Once it is handed over, only the destination's word brings us back.
    if (!this.#attachment || this.#machine.current === "handover") return;
    const { clock, log } = this.#options;
    await withDeadline(clock, TELL_MS, "the destination to be told", this.#abort(this.#attachment))
      .catch((error) => log.log("debug", `abort: ${messageOf(error)}`));
  }

  async #abort(attachment: Attachment): Promise<void> {
    // Never once the destination may have the guest.
    if (["done", "unknown"].includes(this.#machine.current)) return;
    const cause = this.#stop.signal.reason ?? "The source gave up";
    const { kind, code, side, message } = asMigrationError(cause, "source");
    await attachment.abort({ reason: message, cancelled: kind === "cancelled", code, side });
  }

  // The copy

  /** The mirrors; those that another process has begun are taken on. */
  #makeMirrors(disks: readonly Mirror[]): Promise<MirrorSet> {
    return this.#end.makeMirrors(disks, this.#rttMs);
  }

  async #startRam(mirrors: MirrorSet): Promise<Ram> {
    const stop = this.#stop.signal;
    const settings = await this.#end.plan(this.#guest!.asleep);
    // Before the stream is open: QEMU 11.1 answers nothing from then on until the first byte comes.
    await this.#attachment!.withPeer((peer) => this.#machineGuard!.compare(peer, stop), stop);
    const stream = await this.#end.openStream(stop);
    // Where the destination's tool was started again just now, they are to be connected first.
    await mirrors.inStep(stop);
    await this.#machineGuard!.look();
    await this.#enter("ready", { settings: settings.before });
    const ram = await this.#end.startRam(settings, stream, stop);
    this.#progress?.withRam(ram);
    return ram;
  }

  // The end

  async #endCleanly(): Promise<void> {
    await this.#end.closeTargets();
    // Sockets and settings go as after a failure; the destination keeps what it has.
    await this.#leave((await this.#undo.run()).here);
    if (!this.#options.quitSource) return;
    await this.#qmp.execute("quit", {}).catch((error) => {
      const message = `The source's QEMU did not quit: ${messageOf(error)}`;
      this.#options.report({ event: "warning", code: "quit-failed", message });
    });
  }

  /** Takes note of why the migration can't go on. Only the first cause counts. */
  #fault(reason: unknown): void {
    this.#stop.take(reason);
  }

  async #failed(thrown: unknown): Promise<MigrationError> {
    const from = this.#machine.current;
    // Once it is handed over, what is thrown is the last word on it; before, the first cause counts.
    const handedOver = from === "handover";
    const session = this.#attachment?.peer?.session;
    const cause = handedOver ? thrown : await this.#stop.settle(thrown);
    const error = withLink(session, asMigrationError(cause, "source"));
    this.#fault(error);
    this.#options.log.log("debug", `source: failed: ${error.message}`);
    this.#machine.take(
      !handedOver ? "fault" : error.code === "not-started" ? "denied" : "silence",
    );
    if (["handover", "unknown"].includes(this.#record.state) || handedOver) {
      await this.#write({ state: this.#machine.current }).catch((failure) =>
        this.#options.log.log("warning", `the journal: ${messageOf(failure)}`)
      );
    }
    await this.#told;
    const { here, elsewhere } = await this.#undo.run();
    // The mirrors have concluded and the memory has gone: what was taken back touches neither guest.
    if (this.#machine.current === "unknown") return worded("unknown", error, []);
    // Whatever else happened, and was perhaps heard of first: the guest does not run here any more.
    if (this.#gone && !error.code.startsWith("guest-")) {
      return qemuGone("source", this.#gone.cause as Error, await this.#options.lastWords?.());
    }
    const ran = this.#guest?.shouldRun ?? this.#record.wasRunning;
    if (ran && !this.#gone) {
      const { resume } = this.#options;
      const pausedByUs = this.#guest?.suspended ||
        ["switchover", "handover"].includes(from) ||
        (resume !== undefined && (resume.stopped !== "no" || STANDS.includes(resume.state)));
      const asleep = this.#guest?.asleep ?? this.#record.asleep ?? false;
      const stuck = await runAgain(this.#qmp, this.#options.clock, pausedByUs, asleep);
      if (stuck === ASLEEP_STUCK) return asleepStuck(error);
      if (stuck !== undefined) here.unshift(stuck);
      // Whoever pauses it from now on has a reason for it.
      else this.#record = { ...this.#record, stopped: "no" };
    }
    await this.#leave(here);
    const left = [...leftHere("source", here), ...elsewhere.map(atDestination)];
    if (!ran && !this.#gone && await this.#isStuck()) {
      left.push(`the guest stands as before: ${STUCK}`);
    }
    const kind = error.kind === "refused" && from !== "prepare" ? "failed" : error.kind;
    return worded(kind === "unknown" ? "failed" : kind, error, left);
  }

  /** A guest that stood before stands, but not as it did. */
  async #isStuck(): Promise<boolean> {
    if (!STANDS.includes(this.#record.state)) return false;
    return await guestStatus(this.#qmp) === "postmigrate";
  }

  /** Writes down what could not be undone, for whoever begins the next migration with this QEMU. */
  async #leave(left: readonly string[]): Promise<void> {
    if (left.length === 0 || this.#gone) return;
    this.#leftBehind = true;
    await this.#write({
      state: this.#machine.current,
      left: left.map((text) => text.slice(0, 1024)),
    })
      .catch((failure) => this.#options.log.log("warning", `the journal: ${messageOf(failure)}`));
    if (this.#machine.current !== "done") return;
    const [message] = leftHere("source", left);
    this.#options.report({ event: "warning", code: "not-undone", message: message! });
  }

  /** What happened, once it is written down. */
  async #enter(event: SourceEvent, change: Partial<SourceRecord> = {}): Promise<void> {
    this.#stop.signal.throwIfAborted();
    const state = SOURCE[this.#machine.current][event]!;
    await this.#write({ ...change, state });
    this.#stop.signal.throwIfAborted();
    this.#machine.take(event);
    if (state !== "done" && state !== "undone" && state !== "unknown") this.#phase(state);
  }

  /**
   * What happened, while it is being written down: the guest stands still, and whoever takes this up
   * does the same before and after it.
   */
  #pass(event: "stopped"): void {
    this.#stop.signal.throwIfAborted();
    this.#machine.take(event);
    this.#write({ state: "switchover", asleep: this.#guest!.asleep }).catch((error) =>
      this.#fault(error)
    );
    this.#phase("switchover");
  }

  async #write(change: Partial<SourceRecord>): Promise<void> {
    this.#record = { ...this.#record, ...change };
    await this.#options.journal.write(this.#record);
  }

  #phase(phase: Phase): void {
    this.#options.report({ event: "phase", phase });
    this.#progress?.phase(phase);
  }
}

function atDestination(left: string): string {
  return `Not undone at the destination: ${left}. The next 'vmferry receive' of that QEMU finishes it, or ` +
    "'vmferry recover --yes' there";
}
