import {
  type BytePipe,
  type Clock,
  delay,
  type Logger,
  messageOf,
  type Moves,
  States,
  withDeadline,
} from "../io/mod.ts";
import {
  listDisks,
  MigrationSettings,
  type QmpClient,
  QmpCommandError,
  queryMigrate,
  waitMigration,
} from "../qmp/mod.ts";
import { ChannelServer, type Params, type Result, RpcError, RpcPeer } from "../rpc/mod.ts";
import type { Session } from "../tunnel/mod.ts";
import { asMigrationError, MigrationError, refusal } from "./errors.ts";
import type { Report } from "./events.ts";
import { destinationProblems, inspectGuest } from "./inspect.ts";
import { compareGuests, type DiskChoice, type DiskPair, matchDisks } from "./plan.ts";
import type { RunDir } from "./source.ts";
import { UndoList } from "./undo.ts";

export interface DestinationOptions {
  readonly qmp: QmpClient;
  readonly runDir: RunDir;
  readonly connectUnix: (path: string) => Promise<BytePipe>;
  readonly removeFile: (path: string) => Promise<void>;
  /** `--disk` as given; none = every disk that can be mirrored, by the same names. */
  readonly disks: readonly DiskChoice[];
  readonly report: Report;
  readonly clock: Clock;
  readonly log: Logger;
}

type DestinationState =
  | "waiting"
  | "prepared"
  | "loading"
  | "loaded"
  | "starting"
  | "finished"
  | "failed";

const MOVES: Moves<DestinationState> = {
  waiting: ["prepared", "failed"],
  prepared: ["loading", "failed"],
  loading: ["loaded", "failed"],
  loaded: ["starting", "failed"],
  // Failed only where QEMU itself said that it did not start the guest.
  starting: ["finished", "failed"],
  finished: [],
  failed: [],
};

/** How long QEMU may take to load what has crossed, without progress, ms. */
const LOAD_MS = 120_000;
/** How long the guest may take to run after `cont`, ms. */
const START_MS = 60_000;
/** How long a source may take to leave once all is over, ms. */
const LEAVE_MS = 5_000;

/**
 * The destination's side of one migration. Serves the calls of one source after another until one
 * has prepared; that session is the migration's, and its end without `finish` undoes everything.
 */
export class DestinationMigration {
  readonly #options: DestinationOptions;
  readonly #qmp: QmpClient;
  readonly #states: States<DestinationState>;
  readonly #undo: UndoList;
  readonly #outcome = Promise.withResolvers<void>();
  #owner: Session | undefined;
  #incomingStarted = false;
  #load: Promise<Result<"load">> | undefined;
  #finish: Promise<Result<"finish">> | undefined;
  /** Why the session of the source ended, if it did. */
  #cause: MigrationError | undefined;
  #failure: MigrationError | undefined;
  readonly #told = Promise.withResolvers<void>();
  readonly #sessions = new Set<Session>();

  constructor(options: DestinationOptions) {
    this.#options = options;
    this.#qmp = options.qmp;
    this.#states = new States<DestinationState>("destination", "waiting", MOVES, options.log);
    this.#undo = new UndoList(options.clock, options.log);
    options.qmp.closed.then((cause) => {
      const message = cause ? messageOf(cause) : "The QMP connection was closed";
      return this.cancel(
        new MigrationError("failed", "destination-qemu-gone", "destination", message),
      );
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

  /** True once a source has come whose guest this one is to be. */
  get hasSource(): boolean {
    return this.#owner !== undefined;
  }

  /** Bytes that crossed the tunnel, both directions. */
  get bytes(): number {
    return this.#owner?.bytes ?? 0;
  }

  /** What stands in the way on this side, before any source is there; throws a refusal. */
  async check(): Promise<void> {
    const problems = await destinationProblems(this.#qmp, await inspectGuest(this.#qmp));
    if (problems.length > 0) throw refusal("destination-not-fit", "destination", problems);
  }

  /** Ends it from this side and tells the source, unless the guest is on its way to run here. */
  async cancel(reason: MigrationError): Promise<void> {
    await this.#fail(reason);
    if (this.#failure === reason) this.#owner?.abort(reason.message, "stopped");
  }

  /** Waits until the sources have heard how it ended and have left, but not for long. */
  async leave(): Promise<void> {
    const { clock } = this.#options;
    await Promise.all([...this.#sessions].map(async (session) => {
      await withDeadline(clock, LEAVE_MS, "the source to leave", session.ended).catch(() => {
        session.abort(this.#failure?.message ?? "The migration is over", "stopped");
      });
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
    const rpc = new RpcPeer(session.rpc, {
      clock,
      log,
      onFault: (error) => session.abort(error.message, "protocol-error"),
      handlers: {
        prepare: (params) => this.#prepare(session, channels, params),
        openTunnel: (params) => channels.open(params),
        load: () => this.#onLoad(session),
        finish: (params) => this.#onFinish(session, params),
        abort: (params) => this.#onAbort(session, params),
        status: () => {
          answeredStatus = ["finished", "failed"].includes(this.#states.current);
          return this.#status();
        },
      },
    });
    session.ended.then(async (cause) => {
      this.#sessions.delete(session);
      // QEMU may end for want of its stream, and be heard of first.
      if (session === this.#owner && cause) this.#cause ??= asMigrationError(cause, "destination");
      await channels.join();
      await rpc.join();
      const finished = this.#states.current === "finished";
      // An end that the source chose comes after the answer to whatever it had asked.
      const left = !cause || cause.code === "ended-by-peer";
      if (left && (answeredStatus || (finished && session === this.#owner))) {
        this.#told.resolve();
      }
      if (session !== this.#owner) return;
      const error = cause
        ? asMigrationError(cause, "destination")
        : new MigrationError("failed", "source-gone", "source", "The source ended the session");
      await this.#fail(error);
    });
  }

  async #prepare(
    session: Session,
    channels: ChannelServer,
    params: Params<"prepare">,
  ): Promise<Result<"prepare">> {
    if (this.#owner || this.#states.current !== "waiting") {
      throw new RpcError("refused", "Another migration is under way here");
    }
    const guest = await inspectGuest(this.#qmp);
    const problems = await destinationProblems(this.#qmp, guest);
    problems.push(...compareGuests(params.guest, guest.description));
    const disks = matchDisks(params.disks, await listDisks(this.#qmp), this.#options.disks);
    problems.push(...disks.problems);
    const { major, minor, micro } = this.#qmp.version;
    const result = { qemuVersion: `${major}.${minor}.${micro}`, exports: [], warnings: [] };
    if (params.checkOnly) {
      if (problems.length > 0) throw new RpcError("refused", problems.join("; "));
      return result;
    }
    this.#owner = session;
    if (problems.length > 0) {
      const error = refusal("refused", "destination", problems);
      // The answer must be out before the session's owner may end it.
      queueMicrotask(() => this.#fail(error));
      throw new RpcError("refused", error.message);
    }
    this.#options.report({ event: "phase", phase: "prepare" });
    try {
      const exports = await this.#export(channels, disks.pairs);
      this.#states.to("prepared");
      this.#options.report({ event: "phase", phase: "mirror" });
      return { ...result, exports };
    } catch (error) {
      const failure = asMigrationError(error, "destination");
      queueMicrotask(() => this.#fail(failure));
      throw new RpcError(failure.code, failure.message);
    }
  }

  async #export(
    channels: ChannelServer,
    pairs: readonly DiskPair[],
  ): Promise<{ disk: string; exportName: string }[]> {
    const { runDir, connectUnix, removeFile } = this.#options;
    // In this state it does not stop anything: it keeps QEMU from starting the guest by itself
    // when the last byte has come. Only `finish` starts it.
    await this.#qmp.execute("stop", {});
    const settings = new MigrationSettings(this.#qmp);
    this.#undo.add("QEMU's migration settings", async () => {
      await settings.restore();
    });
    await settings.apply({ capabilities: { events: true, "late-block-activate": true } });

    const nbdPath = runDir.path("nbd.sock");
    this.#undo.add("the NBD server's socket", () => removeFile(nbdPath));
    await this.#qmp.execute("nbd-server-start", {
      addr: { type: "unix", data: { path: nbdPath } },
    });
    this.#undo.add("the NBD server and its exports", () => this.#stopNbdServer());
    // A mirror that comes back to another QEMU than this one must not find its export there.
    const nonce = crypto.randomUUID().slice(0, 8);
    const exports = [];
    for (const [i, { name, local }] of pairs.entries()) {
      const exportName = `${name}-${nonce}`;
      await this.#qmp.execute("block-export-add", {
        type: "nbd",
        id: `vmferry-${nonce}-${i}`,
        "node-name": local.nodeName,
        name: exportName,
        writable: true,
      });
      exports.push({ disk: name, exportName });
    }
    channels.serve("nbd", () => connectUnix(nbdPath));

    const ramPath = runDir.path("ram.sock");
    channels.serve("ram", async () => {
      await this.#startIncoming(ramPath);
      return await connectUnix(ramPath);
    });
    return exports;
  }

  /** Once in QEMU's life, so as late as can be: when the first byte is about to come. */
  async #startIncoming(path: string): Promise<void> {
    if (this.#incomingStarted) throw new RpcError("failed", "The memory has come already");
    this.#incomingStarted = true;
    this.#undo.add("the migration socket", () => this.#options.removeFile(path));
    const uri = `unix:${path}`;
    try {
      // From QEMU 9.1 on: a broken stream does not end the process, and its reason can be read.
      await this.#qmp.execute("migrate-incoming", { uri, "exit-on-error": false });
    } catch (error) {
      if (!(error instanceof QmpCommandError)) throw error;
      await this.#qmp.execute("migrate-incoming", { uri });
    }
    this.#options.report({ event: "phase", phase: "ram" });
  }

  async #stopNbdServer(): Promise<void> {
    try {
      await this.#qmp.execute("nbd-server-stop", {});
    } catch (error) {
      if (!(error instanceof QmpCommandError)) throw error;
      this.#options.log.log("debug", `nbd-server-stop: ${error.message}`);
    }
  }

  // The handover

  #onLoad(session: Session): Promise<Result<"load">> {
    this.#assertOwner(session);
    return this.#load ??= this.#runLoad();
  }

  async #runLoad(): Promise<Result<"load">> {
    this.#states.to("loading");
    this.#options.report({ event: "phase", phase: "switchover" });
    try {
      const [info] = await Promise.all([
        waitMigration(
          this.#qmp,
          (status) => status === "completed" || status === "failed",
          { stallMs: LOAD_MS, clock: this.#options.clock },
        ),
        this.#stopNbdServer(),
      ]);
      if (info.status !== "completed") throw new Error(info.errorDesc ?? "QEMU could not load it");
    } catch (error) {
      const message = `The guest could not be loaded: ${messageOf(error)}`;
      const failure = new MigrationError("failed", "not-loaded", "destination", message, {
        cause: error,
      });
      // The answer must be out before the session's owner may end it.
      queueMicrotask(() => this.#fail(failure));
      throw new RpcError(failure.code, message);
    }
    if (this.#states.current !== "loading") throw new RpcError("failed", "It was given up here");
    this.#states.to("loaded");
    return {};
  }

  #onFinish(session: Session, params: Params<"finish">): Promise<Result<"finish">> {
    this.#assertOwner(session);
    if (this.#states.current === "failed") {
      throw new RpcError("not-started", this.#failure?.message ?? "It was given up here");
    }
    // Asked again, the answer is the same one.
    return this.#finish ??= this.#runFinish(params.run);
  }

  async #runFinish(run: boolean): Promise<Result<"finish">> {
    this.#states.to("starting");
    this.#options.report({ event: "phase", phase: "handover" });
    const status = run ? await this.#startGuest() : (await this.#guestStatus()) ?? "paused";
    this.#states.to("finished");
    await this.#undo.run();
    this.#options.report({ event: "phase", phase: "done" });
    this.#outcome.resolve();
    return { status };
  }

  #assertOwner(session: Session): void {
    if (session !== this.#owner) {
      throw new RpcError("failed", "This session has not prepared a migration");
    }
  }

  async #startGuest(): Promise<string> {
    try {
      await this.#qmp.execute("cont", {});
    } catch (error) {
      // QEMU said no: its disks could not be had, for one. A missing answer is not a no.
      if (error instanceof QmpCommandError) throw await this.#notStarted(error);
      throw error;
    }
    const { clock } = this.#options;
    return await withDeadline(
      clock,
      START_MS,
      "the guest to run",
      (async () => {
        while (true) {
          const status = await this.#guestStatus();
          if (status === "running") return status;
          await delay(clock, 20);
        }
      })(),
    );
  }

  async #notStarted(cause: unknown): Promise<RpcError> {
    const message = `The guest could not be started: ${messageOf(cause)}`;
    await this.#fail(
      new MigrationError("failed", "not-started", "destination", message, { cause }),
    );
    return new RpcError("not-started", message);
  }

  async #status(): Promise<Result<"status">> {
    return { state: this.#states.current, guest: await this.#guestStatus() ?? null };
  }

  async #guestStatus(): Promise<string | undefined> {
    try {
      return (await this.#qmp.execute("query-status", {})).status;
    } catch {
      return undefined;
    }
  }

  // Giving up

  async #onAbort(
    session: Session,
    { reason, cancelled }: Params<"abort">,
  ): Promise<Result<"abort">> {
    if (session !== this.#owner) return {};
    if (this.#finish) throw new RpcError("failed", "The guest was handed over already");
    const kind = cancelled ? "cancelled" : "failed";
    await this.#fail(new MigrationError(kind, "aborted-by-source", "source", reason));
    return {};
  }

  /** Undoes everything and ends with `error`; not once the guest is on its way to run here. */
  async #fail(error: MigrationError): Promise<void> {
    const state = this.#states.current;
    if (state === "finished" || state === "failed") return;
    if (state === "starting" && error.code !== "not-started") return;
    // The source may have asked for the guest to be run, and not know that we never heard of it.
    if (state !== "loaded") this.#told.resolve();
    this.#states.to("failed");
    this.#failure = this.#cause ?? error;
    await this.#undo.run();
    await this.#discardLoadedGuest();
    this.#outcome.resolve();
  }

  /** A guest that was loaded and given up must never run: somebody's `cont` would make it two. */
  async #discardLoadedGuest(): Promise<void> {
    if (!this.#incomingStarted) return;
    try {
      if ((await queryMigrate(this.#qmp)).status !== "completed") return;
      await this.#qmp.execute("quit", {});
    } catch (error) {
      this.#options.log.log("debug", `the destination's QEMU: ${messageOf(error)}`);
      return;
    }
    this.#options.report({
      event: "warning",
      code: "destination-quit",
      message: "The destination's QEMU had the whole guest loaded and was ended; start it anew",
    });
  }
}
