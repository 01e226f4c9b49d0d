import {
  type Acceptor,
  type Clock,
  delay,
  type Logger,
  messageOf,
  type Moves,
  States,
  withDeadline,
} from "../io/mod.ts";
import { NbdProbeError, probeExport } from "../nbd/mod.ts";
import { listDisks, MigrationSettings, type QmpClient, queryMigrate } from "../qmp/mod.ts";
import {
  ChannelListener,
  type DiskDescription,
  openChannel,
  type Result,
  RpcError,
  RpcPeer,
} from "../rpc/mod.ts";
import type { Session, TunnelStream } from "../tunnel/mod.ts";
import { asMigrationError, MigrationError, refusal } from "./errors.ts";
import type { Phase, Report } from "./events.ts";
import { handOver } from "./handover.ts";
import { type Guest, inspectGuest, sourceProblems } from "./inspect.ts";
import type { Limits } from "./limits.ts";
import { type Mirror, MirrorSet } from "./mirrors.ts";
import { selectDisks } from "./plan.ts";
import { ProgressTicker } from "./progress.ts";
import { Ram } from "./ram.ts";
import { UndoList } from "./undo.ts";

/** Paths for our sockets, in a folder that only we and QEMU can enter. */
export interface RunDir {
  path(name: string): string;
}

export interface SourceOptions {
  readonly qmp: QmpClient;
  /** Makes the session; called once the source is known to be fit, and again to ask who runs. */
  readonly connect: (signal: AbortSignal) => Promise<Session>;
  readonly listen: (path: string) => Promise<Acceptor>;
  readonly runDir: RunDir;
  /** Names of the disks to take; none = every one that can be mirrored. */
  readonly disks: readonly string[];
  readonly limits: Limits;
  readonly quitSource: boolean;
  readonly report: Report;
  readonly clock: Clock;
  readonly log: Logger;
  /** Aborted when the user wants out; its reason is told. */
  readonly signal: AbortSignal;
}

/** What a migration came to, when it came to something. */
export interface Migrated {
  readonly downtimeMs: number | null;
  readonly pauseMs: number | null;
  readonly bytes: number;
}

type SourceState =
  | "prepare"
  | "mirror"
  | "ram"
  | "switchover"
  | "handover"
  | "done"
  | "undone"
  | "unknown";

const MOVES: Moves<SourceState> = {
  prepare: ["mirror", "undone"],
  mirror: ["ram", "undone"],
  ram: ["switchover", "undone"],
  switchover: ["handover", "undone"],
  // From here on the destination may run the guest: there is no way back but its own word.
  handover: ["done", "undone", "unknown"],
  done: [],
  undone: [],
  unknown: [],
};

/** How long the destination may take to prepare, ms. */
const PREPARE_MS = 120_000;
/** How long the destination may take to load what is left when the guest is stopped, ms. */
const LOAD_MS = 180_000;
/** How long its reason may take when the stream of the memory broke, ms. */
const CAUSE_MS = 2_000;
/** How long undoing may wait for the destination, ms. */
const ABORT_MS = 10_000;
/** How long a guest may take to run again after a failed attempt, ms. */
const RESTORE_MS = 60_000;
/** Probes under way at a time. */
const PROBES = 8;

/** The source's side of one migration: from the first look at QEMU to the guest's new home. */
export class SourceMigration {
  readonly #options: SourceOptions;
  readonly #qmp: QmpClient;
  readonly #states: States<SourceState>;
  readonly #undo: UndoList;
  /** Aborted with the first cause of a failure; every wait before the handover listens to it. */
  readonly #stop = new AbortController();
  #session: Session | undefined;
  #rpc: RpcPeer | undefined;
  #wasRunning = false;
  #stoppedAt: number | undefined;
  #progress: ProgressTicker | undefined;

  constructor(options: SourceOptions) {
    this.#options = options;
    this.#qmp = options.qmp;
    this.#states = new States<SourceState>("source", "prepare", MOVES, options.log);
    this.#undo = new UndoList(options.clock, options.log);
  }

  /** Bytes that crossed the tunnel so far, both directions. */
  get bytes(): number {
    return this.#session?.bytes ?? 0;
  }

  /**
   * Carries the guest over.
   *
   * @throws {MigrationError} whose `kind` says where the guest is; all of ours is undone by then,
   * except with `unknown`.
   */
  async run(): Promise<Migrated> {
    const { signal } = this.#options;
    const onCancel = () => this.#fault(signal.reason);
    signal.addEventListener("abort", onCancel, { once: true });
    if (signal.aborted) onCancel();
    this.#qmp.closed.then((cause) =>
      this.#fault(
        new MigrationError(
          "failed",
          "source-qemu-gone",
          "source",
          cause ? messageOf(cause) : "The QMP connection was closed",
        ),
      )
    );
    const stopEvents = this.#qmp.onEvent(({ event }) => {
      if (event === "STOP") this.#stoppedAt ??= this.#options.clock.now();
      // A guest that was resumed by somebody has not been stopped by us.
      if (event === "RESUME") this.#stoppedAt = undefined;
    });
    try {
      return await this.#carry();
    } catch (error) {
      throw await this.#failed(error);
    } finally {
      signal.removeEventListener("abort", onCancel);
      stopEvents();
      this.#progress?.stop();
    }
  }

  async #carry(): Promise<Migrated> {
    const stop = this.#stop.signal;
    this.#phase("prepare");
    const guest = await inspectGuest(this.#qmp);
    this.#wasRunning = guest.status === "running";
    const disks = await this.#chooseDisks(guest);
    const { exports, session, rpc } = await this.#prepareDestination(guest, disks);
    await this.#probe(exports, disks);

    this.#enter("mirror");
    const mirrors = await this.#startMirrors(session, rpc, disks, exports);
    await mirrors.allReady(stop);

    this.#enter("ram");
    const ram = await this.#startRam(session, rpc);
    await ram.preSwitchover(stop);

    this.#enter("switchover");
    this.#progress?.stop();
    await mirrors.finish(stop);
    await this.#giveMemory(rpc, ram);

    this.#enter("handover");
    const run = this.#wasRunning;
    await handOver({
      session,
      rpc,
      run,
      connect: this.#options.connect,
      clock: this.#options.clock,
      log: this.#options.log,
      report: this.#options.report,
    });
    const resumedAt = this.#options.clock.now();
    this.#states.to("done");
    const pauseMs = run && this.#stoppedAt !== undefined ? resumedAt - this.#stoppedAt : null;
    const downtimeMs = (await queryMigrate(this.#qmp)).downtimeMs ?? null;
    await this.#endCleanly();
    this.#options.report({ event: "phase", phase: "done" });
    return { downtimeMs, pauseMs, bytes: session.bytes };
  }

  // Before anything is touched

  async #chooseDisks(guest: Guest): Promise<Mirror[]> {
    const all = await listDisks(this.#qmp);
    const problems = await sourceProblems(this.#qmp, guest);
    const selection = selectDisks(all, this.#options.disks);
    problems.push(...selection.problems);
    if (problems.length > 0) throw refusal("source-not-fit", "source", problems);
    const id = crypto.randomUUID().slice(0, 8);
    return selection.disks.map((disk, i) => ({
      name: disk.name,
      device: disk.nodeName,
      sizeBytes: disk.sizeBytes,
      format: disk.format,
      exportName: "",
      jobId: `vmferry-${id}-${i}`,
      targetNode: `vmferry-${id}-${i}-target`,
    }));
  }

  async #prepareDestination(
    guest: Guest,
    disks: readonly (Mirror & { format?: string })[],
  ): Promise<{ exports: Result<"prepare">["exports"]; session: Session; rpc: RpcPeer }> {
    const { clock, log } = this.#options;
    const session = await this.#options.connect(this.#stop.signal);
    this.#session = session;
    this.#undo.add("the session", async () => {
      await session.close(ABORT_MS);
    });
    const rpc = new RpcPeer(session.rpc, {
      clock,
      log,
      handlers: {},
      onFault: (error) => session.abort(error.message, "protocol-error"),
    });
    this.#rpc = rpc;
    session.ended.then((cause) => {
      if (cause) this.#fault(cause);
      else this.#fault(new Error("The destination ended the session"));
    });
    this.#options.limits.holdSession(session);
    const wanted: DiskDescription[] = disks.map((d) => ({
      name: d.name,
      sizeBytes: d.sizeBytes,
      format: d.format ?? "",
    }));
    this.#undo.add("what the destination prepared", () => this.#abortDestination());
    const prepared = await rpc.call(
      "prepare",
      { guest: guest.description, disks: wanted, checkOnly: false },
      { timeoutMs: PREPARE_MS, signal: this.#stop.signal },
    );
    for (const message of prepared.warnings) {
      this.#options.report({ event: "warning", code: "destination", message });
    }
    return { exports: prepared.exports, session, rpc };
  }

  async #abortDestination(): Promise<void> {
    // Never once the destination may have the guest.
    if (["done", "unknown"].includes(this.#states.current) || this.#session?.state !== "up") return;
    const cause = this.#stop.signal.reason;
    const reason = messageOf(cause ?? "The source gave up");
    const cancelled = cause instanceof MigrationError && cause.kind === "cancelled";
    await this.#rpc?.call("abort", { reason, cancelled }, { timeoutMs: ABORT_MS });
  }

  /** Looks at every export through the tunnel, so that a wrong one is a message and no failed job. */
  async #probe(
    exports: Result<"prepare">["exports"],
    disks: readonly Mirror[],
  ): Promise<void> {
    const queue = [...disks];
    const worker = async () => {
      let disk: Mirror | undefined;
      while ((disk = queue.shift())) {
        const { name, sizeBytes } = disk;
        const exportName = exports.find((e) => e.disk === name)?.exportName;
        if (exportName === undefined) {
          throw new MigrationError(
            "failed",
            "no-export",
            "destination",
            `The destination exports no disk ${name}`,
          );
        }
        const stream = await openChannel(this.#session!, this.#rpc!, "nbd", this.#stop.signal);
        try {
          await probeExport(stream, exportName, {
            expectedSizeBytes: sizeBytes,
            writable: true,
            signal: this.#stop.signal,
          });
        } catch (error) {
          if (!(error instanceof NbdProbeError)) throw error;
          const message = `disk ${name}: ${error.message}`;
          throw new MigrationError("failed", error.code, "destination", message, { cause: error });
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(PROBES, disks.length) }, worker));
  }

  // The copy

  async #startMirrors(
    session: Session,
    rpc: RpcPeer,
    disks: readonly Mirror[],
    exports: Result<"prepare">["exports"],
  ): Promise<MirrorSet> {
    const { clock, log } = this.#options;
    const mirrors = new MirrorSet({
      qmp: this.#qmp,
      clock,
      log,
      mirrors: disks.map((disk) => ({
        ...disk,
        exportName: exports.find((e) => e.disk === disk.name)!.exportName,
      })),
      socketPath: this.#options.runDir.path("nbd.sock"),
      reconnectDelay: 0,
      onFault: (error) => this.#fault(error),
    });
    // Taken back after the socket: jobs that are thrown away need not wait for what is under way.
    this.#undo.add("the mirror jobs", () => mirrors.undo());
    await this.#listen("nbd", () => openChannel(session, rpc, "nbd"));
    this.#progress = new ProgressTicker({
      clock,
      report: this.#options.report,
      mirrors,
      session,
    });
    await mirrors.start(this.#stop.signal);
    return mirrors;
  }

  async #startRam(session: Session, rpc: RpcPeer): Promise<Ram> {
    const { clock, log, limits } = this.#options;
    // Opened before QEMU has anything to send: its destination then reads as fast as it writes,
    // and is not still loading memory when the guest is stopped and the disks want their last word.
    const stream = await openChannel(session, rpc, "ram", this.#stop.signal);
    this.#undo.add("the memory's stream", () => Promise.resolve(stream.close()));
    const listener = await this.#listen("ram", () => Promise.resolve(stream));
    const settings = new MigrationSettings(this.#qmp);
    this.#undo.add("QEMU's migration settings", async () => {
      await settings.restore();
    });
    await settings.apply({
      capabilities: { events: true, "pause-before-switchover": true, "late-block-activate": true },
    });
    await limits.holdRam(settings);
    const ram = new Ram(this.#qmp, clock, log);
    this.#undo.add("the migration of the memory", () => ram.undo());
    await ram.start(`unix:${listener.path}`);
    this.#progress?.withRam(ram);
    return ram;
  }

  /**
   * Returns when both QEMUs say that all of the guest has crossed. Only then is it handed over: what
   * can still fail does so while the guest can go on here.
   */
  async #giveMemory(rpc: RpcPeer, ram: Ram): Promise<void> {
    const stop = this.#stop.signal;
    const loaded = rpc.call("load", {}, { timeoutMs: LOAD_MS, signal: stop });
    loaded.catch(() => {});
    try {
      await ram.complete(stop);
    } catch (error) {
      // Where the destination could not load it, that is the cause, and ours only saw a closed socket.
      await withDeadline(this.#options.clock, CAUSE_MS, "the destination's reason", loaded)
        .catch((reason) => this.#fault(reason instanceof RpcError ? reason : error));
      throw error;
    }
    await loaded;
    stop.throwIfAborted();
  }

  async #listen(
    channel: string,
    open: () => Promise<TunnelStream>,
  ): Promise<ChannelListener & { path: string }> {
    const path = this.#options.runDir.path(`${channel}.sock`);
    const acceptor = await this.#options.listen(path);
    const listener = new ChannelListener(acceptor, channel, {
      open: () =>
        open().catch((error) => {
          // QEMU will only see a closed socket; this is the reason for it.
          this.#fault(error);
          throw error;
        }),
      log: this.#options.log,
    });
    this.#undo.add(`the ${channel} socket`, () => listener.close());
    return Object.assign(listener, { path });
  }

  // The end

  async #endCleanly(): Promise<void> {
    // Mirrors, sockets and settings go as after a failure; the destination keeps what it has.
    await this.#undo.run();
    if (!this.#options.quitSource) return;
    await this.#qmp.execute("quit", {}).catch((error) => {
      const message = `The source's QEMU did not quit: ${messageOf(error)}`;
      this.#options.report({ event: "warning", code: "quit-failed", message });
    });
  }

  /** Takes note of why the migration can't go on. Only the first cause counts. */
  #fault(reason: unknown): void {
    if (!this.#stop.signal.aborted) this.#stop.abort(reason);
  }

  async #failed(thrown: unknown): Promise<MigrationError> {
    const cause = this.#stop.signal.aborted ? this.#stop.signal.reason : thrown;
    let error = asMigrationError(cause, "source");
    this.#fault(error);
    this.#options.log.log("debug", `source: failed: ${error.message}`);
    if (this.#states.current === "handover") {
      // Only the destination's own word that it will never run the guest brings us back from here.
      const word = asMigrationError(thrown, "source");
      if (word.code !== "not-started") {
        this.#states.to("unknown");
        // The mirrors have concluded and the memory has gone: what is taken back here touches neither
        // guest.
        await this.#undo.run();
        return new MigrationError("unknown", word.code, word.side, word.message, { cause: thrown });
      }
      error = word;
    }
    const touchedRam = this.#states.current === "switchover" || this.#states.current === "handover";
    const refusedEarly = error.kind === "refused" && this.#states.current === "prepare";
    await this.#undo.run();
    this.#states.to("undone");
    const stuck = await this.#restoreGuest(touchedRam);
    if (stuck) {
      const message = `${error.message}. ${stuck}`;
      return new MigrationError("failed", error.code, error.side, message, { cause: error });
    }
    if (error.kind === "refused" && !refusedEarly) {
      return new MigrationError("failed", error.code, error.side, error.message, { cause: error });
    }
    return error;
  }

  /**
   * The guest that ran before runs again; one that was paused stays so.
   *
   * @returns what is wrong with it, or `undefined` when all is well.
   */
  async #restoreGuest(wasStoppedByUs: boolean): Promise<string | undefined> {
    if (!this.#wasRunning) return undefined;
    const { clock } = this.#options;
    try {
      return await withDeadline(
        clock,
        RESTORE_MS,
        "the guest to run again",
        (async () => {
          while (true) {
            const { status } = await this.#qmp.execute("query-status", {});
            if (status === "running") return undefined;
            const ours = status === "postmigrate" || (status === "paused" && wasStoppedByUs);
            if (ours) await this.#qmp.execute("cont", {});
            else if (status !== "finish-migrate") {
              return `The guest at the source is in state "${status}"`;
            }
            await delay(clock, 100);
          }
        })(),
      );
    } catch (error) {
      return `Whether the guest runs at the source could not be made sure: ${messageOf(error)}`;
    }
  }

  #enter(state: Exclude<Phase, "done"> & SourceState): void {
    this.#stop.signal.throwIfAborted();
    this.#states.to(state);
    this.#phase(state);
  }

  #phase(phase: Phase): void {
    this.#options.report({ event: "phase", phase });
    this.#progress?.phase(phase);
  }
}
