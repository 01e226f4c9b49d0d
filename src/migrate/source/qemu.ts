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

/** Once the connection has been down for so long, the guest's writes no longer wait for it, ms. */
const FREE_MS = 5_000;

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
    // Undone after the socket: jobs that are cancelled need not wait for their requests.
    this.#context.undo.add("the mirror jobs", () => mirrors.undo());
    await mirrors.adopt();
    return mirrors;
  }

  /** Registers the undo of what another process has made. */
  async adopt({ mirrors, settings }: SourceRecord): Promise<void> {
    // None of them is started: no buffer is sized by this round trip.
    await this.makeMirrors(mirrors, 0);
    this.#undoSettings(new MigrationSettings(this.#context.qmp, settings));
    this.#ram();
  }

  /** Serves QEMU's mirrors; they connect again after the destination's tool was started again. */
  async serveMirrors(): Promise<void> {
    this.#context.undo.add("the watch over silence", () => Promise.resolve(this.#freeze.stop()));
    this.#freeze.start();
    await this.#listen(
      "nbd",
      (channel, signal) => this.#context.destination!.openChannel(channel, signal),
    );
  }

  /**
   * The connection is down, or up again. A guest whose writes wait for the destination must not wait for the
   * connection: its kernel gives a disk 30 s, some of which have passed before a silent peer is found dead.
   */
  connectionChanged(state: "up" | "down"): void {
    const { clock, log } = this.#context;
    this.#stopFreeing();
    this.#stopFreeing = state === "up" ? () => {} : clock.after(FREE_MS, () => {
      // Once RAM crosses, a target that is cut off cannot be connected again.
      if (!this.#mirrors?.isBlocking || this.#context.ramCrosses) return;
      log.log("info", "the connection is down: the guest's writes do not wait for it");
      this.#listeners.cutTargets();
    });
  }

  /** The guest is paused for the switchover: from now on every wait has a deadline of its own. */
  guestPaused(): void {
    this.#freeze.stop();
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
    if (await needsSinglePass(this.#context.qmp)) this.#context.options.limits.sendRamOnce();
    const settings = new MigrationSettings(this.#context.qmp);
    await settings.plan({
      capabilities: {
        ...ONE_STREAM,
        ...{ events: true, "pause-before-switchover": true, "late-block-activate": true },
        // A guest in S3 cannot be resumed once QEMU has completed its migration. With a return path QEMU
        // completes only when the destination's QEMU has loaded the guest.
        ...(asleep ? { "return-path": true } : {}),
      },
      parameters: { ...PLAIN, ...this.#context.options.limits.parameters },
    });
    return settings;
  }

  /**
   * Opens RAM's stream. From here on no other process can resume the migration. Call it before QEMU has
   * anything to send: the destination then loads as fast as QEMU sends, and does not keep the paused guest
   * waiting for RAM that is still in a queue.
   */
  async openStream(signal: AbortSignal): Promise<TunnelStream> {
    this.#streamAsked = true;
    const stream = await this.#context.destination!.openChannel("ram", signal);
    this.#context.undo.add("the stream of RAM", () => Promise.resolve(stream.close()));
    return stream;
  }

  /** Changes the settings and starts the migration of RAM. */
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
    this.#context.undo.add("the migration of RAM", () => ram.undo());
    return ram;
  }

  /** Listens in the run directory, and joins each connection to a stream that `open` makes. */
  async #listen(
    channel: "nbd" | "ram",
    open: OpenStream,
  ): Promise<ChannelListener> {
    const listener = await this.#listeners.serve(channel, open);
    this.#context.undo.add(`the ${channel} socket`, () => listener.close());
    return listener;
  }
}
