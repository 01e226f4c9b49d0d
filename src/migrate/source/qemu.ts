import { messageOf, withDeadline } from "../../io/mod.ts";
import { MigrationSettings, type QmpClient } from "../../qmp/mod.ts";
import type { ChannelListener, OpenStream } from "../../rpc/mod.ts";
import type { TunnelStream } from "../../tunnel/mod.ts";
import { MigrationError } from "../errors.ts";
import type { SourceRecord } from "../journal.ts";
import { FreezeWatch } from "../guest/freeze_watch.ts";
import { mirrorBufferBytes } from "../disks/buffer_size.ts";
import { type Mirror, MirrorSet } from "../disks/mirror_set.ts";
import { ONE_STREAM, PLAIN } from "../settings.ts";
import { Ram, type RamConnection } from "./ram.ts";
import { once, RamSocket } from "./ram_connection.ts";
import { needsSinglePass } from "../guest/single_pass.ts";
import type { SourceOptions } from "./options.ts";
import { Listeners, type ListenersContext } from "./listeners.ts";
import type { UndoList } from "../undo.ts";

/** The migration, as far as its QEMU needs it. */
export interface QemuContext extends ListenersContext {
  readonly options: Pick<SourceOptions, "listen" | "runDir" | "limits" | "graceMs">;
  readonly qmp: QmpClient;
  readonly undo: UndoList;
}

/** How long a link may be away until the guest's writes are not held up by it any more, ms. */
const FREE_MS = 5_000;

/**
 * How long a guest whose RAM crosses may stand still for a silent connection, ms. A target that is cut then
 * ends the migration, so it is waited longer than while only disks cross.
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
  #streamAsked = false;
  #stopFreeing: () => void = () => {};
  readonly #freeze: FreezeWatch;

  constructor(context: QemuContext) {
    this.#context = context;
    const { qmp, clock, log } = context;
    this.#freeze = new FreezeWatch({
      ...{ qmp, clock, log },
      session: () => context.destination?.peer?.session,
      onFrozen: (ms) => this.#frozen(ms),
    });
    this.#listeners = new Listeners(context, this.#freeze);
  }

  /** The memory's stream was asked for: the destination's QEMU takes one in its life. */
  get streamAsked(): boolean {
    return this.#streamAsked;
  }

  /**
   * The mirrors; those that another process has begun are taken on.
   *
   * @param rttMs shortest round trip to the destination, ms.
   */
  async makeMirrors(disks: readonly Mirror[], rttMs: number): Promise<MirrorSet> {
    const { qmp, clock, log, options: { graceMs, runDir } } = this.#context;
    const mirrors = new MirrorSet({
      qmp,
      clock,
      log,
      mirrors: disks,
      socketPath: runDir.path("nbd.sock"),
      mayWait: graceMs > 0,
      bufferBytes: mirrorBufferBytes(rttMs, disks.length),
      connections: () => this.#listeners.targets,
      onFault: (error) => this.#context.fault(error),
    });
    this.#mirrors = mirrors;
    // Taken back after the socket: jobs that are thrown away need not wait for what is under way.
    this.#context.undo.add("the mirror jobs", () => mirrors.undo());
    await mirrors.adopt();
    return mirrors;
  }

  /** What another process has made is taken back as if it had been made here. */
  async adopt({ mirrors, settings }: SourceRecord): Promise<void> {
    // None of them is started again: how large a buffer would be is of no matter.
    await this.makeMirrors(mirrors, 0);
    this.#undoSettings(new MigrationSettings(this.#context.qmp, settings));
    this.#ram();
  }

  /** Serves QEMU's mirrors; they may come again when the tool at the destination was started again. */
  async serveMirrors(): Promise<void> {
    this.#context.undo.add("the watch over silence", () => Promise.resolve(this.#freeze.stop()));
    this.#freeze.start();
    await this.#listen(
      "nbd",
      (channel, signal) => this.#context.destination!.openChannel(channel, signal),
    );
  }

  /**
   * The link is away, or back: a guest whose writes wait for the destination is not to wait for it. Its
   * kernel gives a disk 30 s, and an end that is silent has been waited for by then.
   */
  connectionChanged(state: "up" | "down"): void {
    const { clock, log } = this.#context;
    this.#stopFreeing();
    this.#stopFreeing = state === "up" ? () => {} : clock.after(FREE_MS, () => {
      // Once memory crosses, a target that goes can't come back.
      if (!this.#mirrors?.isBlocking || this.#context.ramCrosses) return;
      log.log("info", "the link is away: the guest's writes do not wait for it");
      this.#listeners.cutTargets();
    });
  }

  /** The guest is stopped for the switchover: from now on every wait has its own end. */
  guestPaused(): void {
    this.#freeze.stop();
  }

  /** QEMU waits for a silent connection, and the guest with it. */
  #frozen(unansweredMs: number): void {
    const { log, ramCrosses } = this.#context;
    if (!ramCrosses) {
      log.log("info", "QEMU waits for a silent connection: its mirrors' targets are cut off");
      return this.#listeners.cutTargets();
    }
    if (unansweredMs < STAND_MS) return;
    this.#freeze.stop();
    const message =
      `The guest stood still for ${STAND_MS / 1000} s: QEMU waited for the connection, ` +
      "which carried nothing (the guest was reset or stopped meanwhile)";
    this.#context.fault(new MigrationError("failed", "guest-frozen", "source", message));
    // Not by QMP alone: this QEMU may carry out nothing.
    this.#listeners.cutTargets();
  }

  /** The settings that the migration needs, and those of before; nothing is set yet. */
  async plan(asleep: boolean): Promise<MigrationSettings> {
    // Asked here and not at the start, so that a migration that is resumed keeps to it too.
    if (await needsSinglePass(this.#context.qmp)) this.#context.options.limits.sendRamOnce();
    const settings = new MigrationSettings(this.#context.qmp);
    await settings.plan({
      capabilities: {
        ...ONE_STREAM,
        ...{ events: true, "pause-before-switchover": true, "late-block-activate": true },
        // A guest in S3 cannot be continued once QEMU has completed: it is not to do so before the
        // destination says that it has loaded the guest.
        ...(asleep ? { "return-path": true } : {}),
      },
      parameters: { ...PLAIN, ...this.#context.options.limits.parameters },
    });
    return settings;
  }

  /**
   * Opens the memory's stream. From here on a tool that is killed can't be taken up. To be called before
   * QEMU has anything to send: its destination then reads as fast as it writes, and is not still loading
   * memory when the guest is stopped and the disks want their last word.
   */
  async openStream(signal: AbortSignal): Promise<TunnelStream> {
    this.#streamAsked = true;
    const stream = await this.#context.destination!.openChannel("ram", signal);
    this.#context.undo.add("the memory's stream", () => Promise.resolve(stream.close()));
    return stream;
  }

  /** Sets the settings and starts the migration of the memory. */
  async startRam(
    settings: MigrationSettings,
    stream: TunnelStream,
    signal: AbortSignal,
  ): Promise<Ram> {
    const { limits, runDir } = this.#context.options;
    const socket = await this.#listen("ram", once(stream));
    this.#undoSettings(settings);
    await settings.set();
    await limits.holdRam(settings);
    const ram = this.#ram(new RamSocket(this.#context, socket));
    await ram.start(`unix:${runDir.path("ram.sock")}`, signal);
    return ram;
  }

  /** The guest has moved: removes the mirrors and their targets, which QEMU closes without an error. */
  async closeTargets(): Promise<void> {
    const { clock, log } = this.#context;
    this.#listeners.answerTargets();
    const removing = this.#mirrors?.remove() ?? Promise.resolve();
    await withDeadline(clock, CLOSE_MS, "QEMU to close the mirrors' targets", removing)
      .catch((error) => log.log("debug", `source: ${messageOf(error)}`));
    await this.cutTargets();
  }

  /** Nothing in QEMU waits for the mirrors' targets from now on. */
  async cutTargets(): Promise<void> {
    this.#stopFreeing();
    this.#freeze.stop();
    await this.#mirrors?.cut();
    this.#listeners.targetsAreCut();
  }

  #undoSettings(settings: MigrationSettings): void {
    this.#context.undo.add("QEMU's migration settings", () => settings.restore());
  }

  #ram(connection?: RamConnection): Ram {
    const { qmp, clock, log } = this.#context;
    const ram = new Ram({ qmp, clock, log }, connection);
    this.#context.undo.add("the migration of the memory", () => ram.undo());
    return ram;
  }

  /** A socket in the run directory whose connections become streams that `open` makes. */
  async #listen(
    channel: "nbd" | "ram",
    open: OpenStream,
  ): Promise<ChannelListener> {
    const listener = await this.#listeners.serve(channel, open);
    this.#context.undo.add(`the ${channel} socket`, () => listener.close());
    return listener;
  }
}
