import { messageOf, withDeadline } from "../../io/mod.ts";
import { MigrationSettings, type QmpClient } from "../../qmp/mod.ts";
import type { ChannelListener, Where } from "../../rpc/mod.ts";
import type { TunnelStream } from "../../tunnel/mod.ts";
import { MigrationError } from "../errors.ts";
import type { SourceRecord } from "../journal.ts";
import { OutageTimer } from "../guest/outage_timer.ts";
import { FreezeWatch } from "../guest/freeze_watch.ts";
import { type DeltaFilter, filterFor, progressBeside } from "../delta/mod.ts";
import { mirrorBufferBytes } from "../disks/buffer_size.ts";
import { type Mirror, MirrorSet } from "../disks/mirror_set.ts";
import { ramStreams } from "../multifd.ts";
import { BACK_SOCKET, takeBack, untilBegun } from "../postcopy/mod.ts";
import type { LadderSteps } from "../progress/ladder_steps.ts";
import type { PostcopyChoice } from "../ram_choices.ts";
import { RamGate } from "../ram/gate.ts";
import { Ram, type RamConnection } from "../ram/ram.ts";
import { ramSettings } from "../ram/ram_settings.ts";
import { inTurn, RamSocket } from "./ram_connection.ts";
import { needsSinglePass } from "../guest/single_pass.ts";
import type { SourceOptions } from "./options.ts";
import { Listeners, type ListenersContext } from "./listeners.ts";
import type { UndoList } from "../undo.ts";
import type { Verification } from "../verify/mod.ts";

/** The migration, as far as its QEMU needs it. */
export interface QemuContext extends ListenersContext {
  readonly options: Pick<
    SourceOptions,
    "listen" | "removeFile" | "runDir" | "limits" | "graceMs" | "ram" | "delta"
  >;
  /** With `--verify`, once the mirrors are known. */
  readonly verification?: Verification | undefined;
  /** The guest is the source's again: it has not run at the destination and never will. */
  readonly isUndone: boolean;
  readonly qmp: QmpClient;
  readonly undo: UndoList;
  readonly ladder: Pick<LadderSteps, "plan" | "begin">;
  /** What was written last. */
  readonly record: Pick<SourceRecord, "multifd" | "postcopy">;
}

/**
 * How long a guest whose RAM crosses may be blocked by a silent connection, ms. To cut a target then ends the
 * migration, so the source waits longer than while only disks cross.
 */
const STAND_MS = 30_000;

/** How long QEMU may take to close the targets of mirrors that have ended, ms. */
const CLOSE_MS = 5_000;

/**
 * What the source makes in its QEMU to migrate the guest: the mirrors and the migration of RAM, both over
 * sockets in the run directory, and settings. Each goes on the undo list before it is made.
 */
export class SourceQemu {
  readonly #context: QemuContext;
  readonly #listeners: Listeners;
  #mirrors: MirrorSet | undefined;
  #disks: readonly Mirror[] = [];
  #filter: DeltaFilter | undefined;
  #streamAsked = false;
  readonly #outage: OutageTimer;
  #ramListener: ChannelListener | undefined;
  readonly gate = new RamGate();
  readonly #freeze: FreezeWatch;

  constructor(context: QemuContext) {
    this.#context = context;
    const { qmp, clock, log } = context;
    this.#outage = new OutageTimer(clock, () => this.#freeWrites());
    this.#freeze = new FreezeWatch({
      ...{ qmp, clock, log },
      session: () => context.destination?.peer?.session,
      onFrozen: (ms) => this.#frozen(ms),
    });
    this.#listeners = new Listeners(context, this.#freeze, () => untilBegun(context));
  }

  /** RAM's stream was opened, or is being opened: the destination's QEMU takes one in its life. */
  get streamAsked(): boolean {
    return this.#streamAsked;
  }

  /**
   * Makes the mirrors; adopts those that another process has begun.
   *
   * @param rttMs shortest round trip to the destination, ms.
   */
  async makeMirrors(disks: readonly Mirror[], rttMs: number): Promise<MirrorSet> {
    const { qmp, clock, log, options: { graceMs, runDir, ram } } = this.#context;
    const mirrors = new MirrorSet({
      qmp,
      clock,
      log,
      mirrors: disks,
      socketPath: runDir.path("nbd.sock"),
      mayWait: graceMs > 0,
      copyMode: ram?.copyMode,
      bufferBytes: mirrorBufferBytes(rttMs, disks.length),
      connections: () => this.#listeners.targets,
      more: (disk) => progressBeside(this.#context, this.#filter, disk),
      onFault: (error) => this.#context.fault(error),
    });
    this.#mirrors = mirrors;
    this.#disks = disks;
    // Undone after the socket: jobs that are cancelled need not wait for their requests.
    this.#context.undo.add("the mirror jobs", () => mirrors.undo());
    await mirrors.adopt();
    return mirrors;
  }

  /** Registers the undo of what another process has made. */
  async adopt({ mirrors, settings }: SourceRecord): Promise<Ram> {
    // None of them is started: no buffer is sized by this round trip.
    await this.makeMirrors(mirrors, 0);
    this.#undoSettings(new MigrationSettings(this.#context.qmp, settings));
    return this.#ram();
  }

  /**
   * Serves QEMU's mirrors; they connect again after the destination's tool was started again.
   *
   * @param isFirst no other process has served them: the destination's disks are as they were found.
   */
  async serveMirrors(isFirst: boolean): Promise<void> {
    this.#context.undo.add("the watch over silence", () => Promise.resolve(this.#freeze.stop()));
    this.#freeze.start();
    this.#filter = filterFor(this.#disks, this.#context, isFirst);
    await this.#listen(
      "nbd",
      (channel, signal) => this.#context.destination!.openChannel(channel, signal),
      this.#filter?.join,
    );
  }

  /**
   * A connection is down, or all are up again. A guest's blocking writes must not wait for it: a kernel gives
   * a disk 30 s, some of which have passed before a silent peer is found dead.
   */
  connectionChanged(state: "up" | "down"): void {
    this.#outage.changed(state);
    if (this.#disks.length > 0) this.gate.connectionChanged(state);
  }

  #freeWrites(): void {
    // Once RAM crosses, a target that is cut off cannot be connected again.
    if (!this.#mirrors?.isBlocking || this.#context.ramCrosses) return;
    this.#context.log.log("info", "the connection is down: the guest's writes do not wait for it");
    this.#listeners.cutTargets();
  }

  /** The guest is paused for the switchover: from now on every wait has a deadline of its own. */
  guestPaused(): void {
    this.#freeze.stop();
    this.gate.guestPaused();
  }

  /**
   * Has QEMU send the rest of RAM again after its connection was lost in post-copy. The destination's QEMU must
   * wait for it.
   *
   * @param open opens a stream to the destination's channel `ram`.
   */
  async resumeRam(ram: Ram, open: () => Promise<TunnelStream>): Promise<void> {
    const { options: { runDir }, record } = this.#context;
    await this.#ramListener?.close();
    const streams = [];
    while (streams.length < ramStreams(record)) streams.push(await open());
    const socket = await this.#listen("ram", inTurn(streams));
    await ram.resume(`unix:${runDir.path("ram.sock")}`, new RamSocket(this.#context, socket));
  }

  /** QEMU waits for a silent connection, and the guest with it. */
  #frozen(unansweredMs: number): void {
    const { log, ramCrosses } = this.#context;
    if (!ramCrosses) {
      log.log("info", "QEMU waits for a silent connection: vmferry cuts the mirrors' targets off");
      return this.#listeners.cutTargets();
    }
    if (unansweredMs < STAND_MS) return;
    this.#freeze.stop();
    const message =
      `The guest stood still for ${STAND_MS / 1000} s: QEMU waited for the connection, ` +
      "which carried nothing (the guest was reset or stopped meanwhile)";
    this.#context.fault(new MigrationError("failed", "guest-frozen", "source", message));
    // The fault alone does not end it: a QEMU that waits carries out no QMP command.
    this.#listeners.cutTargets();
  }

  /** Finds out which settings have to change, and their old values; sets nothing. */
  async plan(asleep: boolean): Promise<MigrationSettings> {
    // Asked here and not in prepare: a resumed migration skips prepare.
    const isSinglePass = await needsSinglePass(this.#context.qmp);
    if (isSinglePass) this.#context.options.limits.sendRamOnce();
    const { ladder, options, qmp, record } = this.#context;
    const settings = new MigrationSettings(qmp);
    const limits = options.limits.parameters;
    const xbzrleCacheBytes = options.ram?.xbzrleCacheBytes;
    const steps = ladder.plan(isSinglePass);
    await settings.plan(ramSettings({ ...record, asleep, xbzrleCacheBytes, limits, steps }));
    return settings;
  }

  /**
   * Opens RAM's streams, the main one first. From here on no other process can resume the migration. Call it
   * before QEMU has anything to send: the destination then loads as fast as QEMU sends, and does not keep the
   * paused guest waiting for RAM that is still in a queue.
   */
  async openStreams(signal: AbortSignal): Promise<readonly TunnelStream[]> {
    this.#streamAsked = true;
    const { undo, record } = this.#context;
    const open = async (where?: Where) => {
      const stream = await this.#context.destination!.openChannel("ram", signal, where);
      undo.add("a stream of RAM", () => Promise.resolve(stream.close()));
      return stream;
    };
    const main = await open("first");
    const others = Array.from({ length: ramStreams(record) - 1 }, () => open());
    return [main, ...await Promise.all(others)];
  }

  /** Changes the settings and starts the migration of RAM. */
  async startRam(
    settings: MigrationSettings,
    streams: readonly TunnelStream[],
    signal: AbortSignal,
  ): Promise<Ram> {
    const { limits, runDir } = this.#context.options;
    const socket = await this.#listen("ram", inTurn(streams), this.gate.join);
    this.#undoSettings(settings);
    await settings.set();
    await limits.holdRam(settings);
    const ram = this.#ram(new RamSocket(this.#context, socket));
    const when = this.#postcopy?.when;
    const step = { start: () => ram.startPostcopy(), isStep: when === "asked" };
    this.#context.ladder.begin(settings, when && step);
    await ram.start(`unix:${runDir.path("ram.sock")}`, signal);
    return ram;
  }

  /** Removes the mirrors and their targets after the guest has moved, so that QEMU reports no error. */
  async closeTargets(): Promise<void> {
    const { clock, log } = this.#context;
    this.#listeners.answerTargets();
    const removing = this.#mirrors?.remove() ?? Promise.resolve();
    await withDeadline(clock, CLOSE_MS, "QEMU to close the mirrors' targets", removing)
      .catch((error) => log.log("debug", `source: ${messageOf(error)}`));
    await this.cutTargets();
  }

  /** Cuts the mirrors' targets off for good: nothing in QEMU waits for them from now on. */
  async cutTargets(): Promise<void> {
    this.#outage.stop();
    this.#freeze.stop();
    await this.#mirrors?.cut();
    this.#listeners.targetsAreCut();
  }

  /** Closes the sockets, and leaves QEMU as it is. */
  async close(): Promise<void> {
    this.#outage.stop();
    this.#freeze.stop();
    this.#listeners.targetsAreCut();
    await this.#ramListener?.close();
  }

  #undoSettings(settings: MigrationSettings): void {
    this.#context.undo.add("QEMU's migration settings", () => settings.restore());
  }

  #ram(connection?: RamConnection): Ram {
    const { qmp, clock, log } = this.#context;
    const post = { postcopy: this.#postcopy, takeBack: () => this.#takeBack() };
    const ram = new Ram({ qmp, clock, log, ...post }, connection);
    this.#context.undo.add("the migration of RAM", () => ram.undo(this.#context.isUndone));
    return ram;
  }

  /** `undefined`: RAM crosses before the switchover. */
  get #postcopy(): PostcopyChoice | undefined {
    const { record, options: { ram } } = this.#context;
    // What the destination was set up for, also by a process that was killed.
    return record.postcopy ? ram?.postcopy ?? { when: "asked" } : undefined;
  }

  async #takeBack(): Promise<void> {
    const { qmp, clock, log, options: { listen, removeFile, runDir } } = this.#context;
    await takeBack({ qmp, clock, log, listen, removeFile, socketPath: runDir.path(BACK_SOCKET) });
  }

  /** Listens in the run directory, and joins each connection to a stream that `open` makes. */
  async #listen(...args: Parameters<Listeners["serve"]>): Promise<ChannelListener> {
    const listener = await this.#listeners.serve(...args);
    const [channel] = args;
    if (channel === "ram") this.#ramListener = listener;
    this.#context.undo.add(`the ${channel} socket`, () => listener.close());
    return listener;
  }
}
