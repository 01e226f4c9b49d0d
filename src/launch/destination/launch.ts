import { withDeadline } from "../../io/mod.ts";
import {
  asMigrationError,
  codeFromPeer,
  type JournalRecord,
  type JournalStore,
  MigrationError,
} from "../../migrate/mod.ts";
import {
  ChannelServer,
  type Handlers,
  type Params,
  type Result,
  RpcError,
  RpcPeer,
} from "../../rpc/mod.ts";
import type { Session, SessionError } from "../../tunnel/mod.ts";
import { answered, whyGone } from "./answers.ts";
import { describeLaunchFiles } from "./describe/describe_files.ts";
import { describeLaunchHost } from "./describe/describe_host.ts";
import { commitLaunch, guarded } from "./commit.ts";
import { Making } from "./making.ts";
import { NO_MIGRATION } from "./no_migration.ts";
import type { LaunchDestinationOptions, StartedQemu } from "./options.ts";
import { undoMaking } from "./undo.ts";

/** Longest time for a source to leave after the end, ms. */
const LEAVE_MS = 5_000;

const BUSY = "This receive has a launch already. Start another receive";
const GIVEN_UP = "The launch was given up at the destination";

/** A session that is served. */
interface Served {
  readonly session: Session;
  readonly channels: ChannelServer;
  readonly rpc: RpcPeer;
}

/**
 * The destination's side of a launch. Its source describes a machine, has it built, and has its QEMU
 * started here; from then on a `DestinationMigration` serves the source.
 *
 * Its owner:
 * 1. calls {@link serve} for each session, until {@link started} is set: then sessions are the
 *    migration's;
 * 2. waits for {@link outcome};
 * 3. writes the migration's journal through {@link guard};
 * 4. ends with exactly one of {@link commit}, {@link undo}, {@link keep};
 * 5. removes the run directory, unless {@link mustStay}.
 */
export class LaunchDestination {
  readonly #options: LaunchDestinationOptions;
  readonly #served = new Set<Served>();
  readonly #outcome = Promise.withResolvers<void>();
  readonly #giveUp = new AbortController();
  /** What is made for the source that prepared. */
  #making: Making | undefined;
  #owner: Session | undefined;
  /** The call under way; resolves when it changes nothing any more. */
  #calling: Promise<unknown> = Promise.resolve();
  #started: StartedQemu | undefined;
  #undoing: Promise<readonly string[]> | undefined;
  /** Why the source's last attempt was refused. */
  #refusal: MigrationError | undefined;
  #mustStay = false;

  /** Begins nothing yet. */
  constructor(options: LaunchDestinationOptions) {
    this.#options = options;
    this.#outcome.promise.catch(() => {});
  }

  /** Serves a session that a source has opened: answers the calls of a launch. */
  serve(session: Session): void {
    const { clock, log } = this.#options.host;
    const channels = new ChannelServer(session, (end) => {
      if (end.error) log.log("debug", `channel ${end.channel}: ${end.error.message}`);
    });
    const rpc: RpcPeer = new RpcPeer(session.rpc, {
      ...{ clock, log },
      onFault: (error) => session.abort(error.message, "protocol-error"),
      handlers: this.#handlers(() => served),
    });
    const served: Served = { session, channels, rpc };
    this.#served.add(served);
    session.ended.then((cause) => this.#onEnd(served, cause));
  }

  /** The QEMU that it has started; `undefined` before it answered. */
  get started(): StartedQemu | undefined {
    return this.#started;
  }

  /** The session that prepared the launch. */
  get source(): Session | undefined {
    return this.#owner;
  }

  /**
   * Resolves when QEMU runs here and `started` of the options has taken over.
   *
   * @throws {MigrationError} when the launch ended before; everything is undone by then.
   */
  outcome(): Promise<void> {
    return this.#outcome.promise;
  }

  /**
   * The migration's journal for this launch: notes that the guest may run here before a record says so, so
   * that the next run ends no QEMU that has the guest.
   */
  guard(journal: JournalStore<JournalRecord>): JournalStore<JournalRecord> {
    return guarded(journal, () => this.#making?.recorded);
  }

  /**
   * The guest is here: keeps its command line in the state directory, and enables a unit if the source
   * asked for one. Never rejects.
   *
   * @returns what could not be done, as text; the guest runs all the same.
   */
  async commit(): Promise<readonly string[]> {
    const making = this.#making;
    if (!making) return [];
    return await commitLaunch(this.#options.host, making.plan, making.recorded);
  }

  /**
   * The migration has failed or was cancelled, and the guest is at the source: ends the QEMU that was
   * started here and removes everything that was created. Waits until nothing is created any more. Does
   * nothing if the guest may be here. Never rejects.
   *
   * @returns what could not be undone, as text.
   */
  async undo(): Promise<readonly string[]> {
    await this.#calling;
    if (!this.#making || this.#making.recorded.current.mayHaveGuest) return [];
    return await (this.#undoing ??= this.#undo(this.#making));
  }

  /** Nobody knows where the guest runs: ends nothing and removes nothing, here or later. */
  async keep(): Promise<void> {
    this.#mustStay = true;
    await this.#making?.recorded.write({ mayHaveGuest: true }).catch((error) => {
      this.#options.host.log.log("warning", `the journal: ${error.message}`);
    });
  }

  /**
   * Gives the launch up, unless QEMU was started and {@link outcome} has resolved. Resolves when
   * everything is undone.
   */
  async cancel(reason: MigrationError): Promise<void> {
    if (this.#started) return;
    this.#giveUp.abort(reason);
    await this.#calling;
    // `started` of the options has taken over meanwhile.
    if (this.#started) return;
    await this.undo();
    this.#outcome.reject(reason.kind === "cancelled" ? reason : this.#refusal ?? reason);
  }

  /** The journal must stay: something is left, or it is not clear where the guest runs. */
  get mustStay(): boolean {
    return this.#mustStay;
  }

  /** Waits until the sources of sessions that no migration serves have left, five seconds at most. */
  async leave(): Promise<void> {
    const { clock } = this.#options.host;
    await Promise.all([...this.#served].map(async ({ session, channels }) => {
      if (session === this.#owner && this.#started) return;
      if (session.first.state === "down") session.abort("It is over", "stopped");
      await withDeadline(clock, LEAVE_MS, "the source to leave", session.ended).catch(() => {
        session.abort(this.#refusal?.message ?? "The launch is over", "stopped");
      });
      await channels.cut();
      await session.close();
    }));
  }

  #handlers(served: () => Served): Handlers {
    const { host, trust, journal } = this.#options;
    return {
      openTunnel: (params) => served().channels.open(params),
      ...NO_MIGRATION,
      abort: (params) => answered(this.#abort(served(), params)),
      describeLaunchHost: (params) => answered(describeLaunchHost(host, trust, params)),
      describeLaunchFiles: (params) => answered(describeLaunchFiles(host, trust, journal, params)),
      prepareLaunch: (params) => answered(this.#call(() => this.#prepare(served(), params))),
      startLaunch: (params) => answered(this.#call(() => this.#start(served(), params))),
    };
  }

  /** One call changes something at a time. */
  async #call<T>(act: () => Promise<T>): Promise<T> {
    const call = this.#calling.then(act);
    this.#calling = call.catch(() => {});
    return await call;
  }

  async #prepare(
    served: Served,
    params: Params<"prepareLaunch">,
  ): Promise<Result<"prepareLaunch">> {
    if (this.#owner) throw new RpcError("refused", BUSY);
    this.#assertGoingOn();
    const { host, trust, journal, claimed, report } = this.#options;
    const { session, channels } = served;
    this.#owner = session;
    try {
      await claimed(session);
      const making = await Making.plan(host, trust, journal, params);
      this.#assertGoingOn();
      this.#making = making;
      report({ event: "phase", phase: "prepare" });
      await making.create(channels, this.#giveUp.signal);
      return { created: making.created };
    } catch (error) {
      await this.#refused(error);
      throw error;
    }
  }

  async #start(
    { session, channels, rpc }: Served,
    { migration }: Params<"startLaunch">,
  ): Promise<Result<"startLaunch">> {
    const making = this.#making;
    if (session !== this.#owner || making?.recorded.current.migration !== migration) {
      throw new RpcError("failed", "This session has not prepared this launch");
    }
    if (this.#started) throw new RpcError("failed", "QEMU has been started already");
    try {
      const started = await making.start(this.#giveUp.signal);
      this.#assertGoingOn();
      const recover = await this.#options.started(started, session, rpc);
      this.#started = started;
      channels.stop();
      this.#outcome.resolve();
      return { started: started.what, log: started.log, recover };
    } catch (error) {
      await this.#refused(error);
      throw error;
    }
  }

  /** The source gives up; answered when everything is undone. */
  async #abort(
    { session }: Served,
    { reason, cancelled, code, side }: Params<"abort">,
  ): Promise<Result<"abort">> {
    if (session !== this.#owner) return { left: null };
    const { code: word, peerCode } = codeFromPeer(code ?? "aborted-by-source");
    const kind = cancelled ? "cancelled" : "failed";
    await this.cancel(new MigrationError(kind, word, side ?? "source", reason, { peerCode }));
    return { left: [...await this.undo()] };
  }

  #assertGoingOn(): void {
    if (!this.#giveUp.signal.aborted) return;
    const reason = this.#giveUp.signal.reason;
    throw reason instanceof MigrationError ? reason : new RpcError("failed", GIVEN_UP);
  }

  /** Undoes an attempt. The source may try again. */
  async #refused(error: unknown): Promise<void> {
    this.#refusal = asMigrationError(error, "destination");
    const making = this.#making;
    const left = making ? await (this.#undoing ??= this.#undo(making)) : [];
    if (left.length > 0 || this.#giveUp.signal.aborted) return;
    this.#making = undefined;
    this.#undoing = undefined;
    this.#owner = undefined;
  }

  async #undo(making: Making): Promise<readonly string[]> {
    const left = await undoMaking(making, this.#options);
    if (left.length > 0) this.#mustStay = true;
    return left;
  }

  async #onEnd(served: Served, cause: SessionError | undefined): Promise<void> {
    const { session, channels, rpc } = served;
    this.#served.delete(served);
    const isOwner = session === this.#owner;
    if (isOwner) this.#making?.recorded.noteUndo(this.#options.host.log);
    // Before any wait: a launch that is under way has no source any more.
    const gone = isOwner && !this.#started ? this.cancel(whyGone(cause)) : undefined;
    await channels.cut();
    await channels.join();
    await gone;
    if (!this.#started || !isOwner) await rpc.join();
  }
}
