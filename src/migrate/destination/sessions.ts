import { withDeadline } from "../../io/mod.ts";
import {
  ChannelServer,
  type Handlers,
  type Params,
  type Result,
  RpcError,
  RpcPeer,
} from "../../rpc/mod.ts";
import type { Session, SessionError } from "../../tunnel/mod.ts";
import { asMigrationError, codeFromPeer, MigrationError } from "../errors.ts";
import { sourceLeft } from "../events.ts";
import { guestStatus, versionOf } from "../guest/run_states.ts";
import type { DestinationState } from "../handover/states.ts";
import { type OwnIntroduction, reportPeer } from "../session/introduce.ts";
import { cpuFeatures, MachineDescriber } from "../machine/mod.ts";
import type { BeforeSwitchover } from "./before_switchover.ts";
import type { DestinationContext } from "./context.ts";
import type { GivingUp } from "./failure.ts";
import type { Loading } from "./load.ts";
import type { Preparation } from "./prepare.ts";
import type { RamFollows } from "./ram_follows.ts";
import type { Resumption } from "./resume.ts";
import type { GuestStart } from "./start.ts";

/** Longest time for a source to leave after the end, ms. */
const LEAVE_MS = 5_000;
/** A source before 1.1 calls neither `describe` nor `describeDisks`; it prints the warnings of `prepare`. */
const OLD_SOURCE =
  "the source's vmferry is too old to compare both ends: make sure yourself that both machines are " +
  "the same and that no disk of the destination is on storage of the source";

const NOBODY: OwnIntroduction = { host: null, command: "", settings: [] };

/** States in which the guest runs here, or may. */
const HANDED_OVER: readonly DestinationState[] = ["starting", "postcopy", "finished", "lost"];

/** The phases that answer a source's calls. */
export interface Phases {
  readonly preparation: Preparation;
  readonly before: BeforeSwitchover;
  readonly loading: Loading;
  readonly start: GuestStart;
  readonly following: RamFollows;
  readonly givingUp: GivingUp;
  readonly resumption: Resumption;
}

/** A session that is served. */
interface Served {
  readonly session: Session;
  readonly channels: ChannelServer;
  /** `status` gave the source the final state of its migration. */
  heardEnd: boolean;
  /** The source has asked for the destination's disks, to compare them with its own. */
  hasCompared: boolean;
  /** The source has introduced itself. */
  isIntroduced: boolean;
  /** The source has said why it gave up before its migration began. It calls `abort` a second time when it undoes. */
  hasLeft: boolean;
}

/**
 * The sessions of all sources, and the answers to their calls. One of them owns the migration: the one
 * that prepared it, until another attaches. The end of that session gives the migration up, unless the
 * guest was handed over.
 */
export class Sessions {
  readonly #context: DestinationContext;
  readonly #phases: Phases;
  readonly #served = new Set<Session>();
  /** The session whose source had QEMU started for this migration. */
  #launched: Session | undefined;

  constructor(context: DestinationContext, phases: Phases) {
    this.#context = context;
    this.#phases = phases;
  }

  /**
   * Serves a session that a source has opened.
   *
   * @param before answered the source's calls until now; its handlers are replaced. The end of this source
   * gives the migration up, also before it has prepared.
   */
  serve(session: Session, before?: RpcPeer): void {
    const { clock, log } = this.#context;
    this.#served.add(session);
    const channels = new ChannelServer(session, (end) => {
      if (end.error) log.log("debug", `channel ${end.channel}: ${end.error.message}`);
    });
    const served: Served = {
      session,
      channels,
      heardEnd: false,
      hasCompared: false,
      isIntroduced: false,
      hasLeft: false,
    };
    const handlers = this.#handlers(served);
    before?.serve(handlers);
    if (before) this.#launched = session;
    const rpc = before ?? new RpcPeer(session.rpc, {
      clock,
      log,
      onFault: (error) => session.abort(error.message, "protocol-error"),
      handlers,
    });
    session.ended.then((cause) => this.#onEnd(served, rpc, cause));
  }

  /** Waits until the sources have heard the outcome and have left, five seconds at most. */
  async leave(): Promise<void> {
    const context = this.#context;
    await Promise.all([...this.#served].map(async (session) => {
      // Its source was killed before it prepared anything: it does not come back.
      if (session !== context.owner && session.first.state === "down") {
        session.abort("It is over", "stopped");
      }
      await withDeadline(context.clock, LEAVE_MS, "the source to leave", session.ended).catch(
        () => {
          session.abort(context.failure?.message ?? "The migration is over", "stopped");
        },
      );
      await session.close();
    }));
  }

  #handlers(served: Served): Handlers {
    const { session, channels } = served;
    const { preparation, before, loading, start, following, resumption } = this.#phases;
    const { qmp } = this.#context;
    const describer = new MachineDescriber(qmp);
    return {
      introduce: (said) => {
        const { introduction = NOBODY, report } = this.#context.options;
        if (!served.isIntroduced) reportPeer(report, "source", said);
        served.isIntroduced = true;
        const { settings, ...own } = introduction;
        return Promise.resolve({ ...own, settings: [...settings], qemuVersion: versionOf(qmp) });
      },
      describe: (params) => describer.page(params),
      cpuFeatures: async () => ({ features: await cpuFeatures(qmp) }),
      describeDisks: (params) => {
        served.hasCompared = true;
        return preparation.idleStorage.describe(params);
      },
      compareBlocks: (params) => preparation.idleStorage.compare(params),
      describeBases: (params) => preparation.idleStorage.describeBases(params),
      hashBase: (params) => preparation.idleStorage.hashBase(params),
      ready: async ({ step }) => {
        // QEMU is there.
        if (step === "prepare") return { ready: true };
        this.#assertOwner(session);
        return await before.ready();
      },
      hashBlocks: async (params) => {
        this.#assertOwner(session);
        return await preparation.hashBlocks(params);
      },
      prepare: (params) => this.#prepare(served, params),
      attach: (params) => Promise.resolve(resumption.attach(session, channels, params)),
      openTunnel: (params) => channels.open(params),
      load: () => {
        this.#assertOwner(session);
        return loading.load();
      },
      finish: ({ run }) => {
        this.#assertOwner(session);
        return start.finish(run);
      },
      recover: async () => {
        this.#assertOwner(session);
        return await following.recover(channels);
      },
      ramLost: async () => {
        this.#assertOwner(session);
        return await following.sourceEnded();
      },
      abort: (params) => this.#abort(served, params),
      status: (params) => this.#status(served, params),
    };
  }

  #assertOwner(session: Session): void {
    if (session !== this.#context.owner) {
      throw new RpcError("failed", "This session has not prepared a migration");
    }
  }

  async #prepare(
    { session, channels, hasCompared }: Served,
    params: Params<"prepare">,
  ): Promise<Result<"prepare">> {
    const { preparation, resumption } = this.#phases;
    const isCurrent = this.#context.isCurrent(params.migration);
    if (params.checkOnly || !isCurrent) {
      const result = await preparation.prepare(session, channels, params);
      // A source without disks to compare has no storage to lose.
      if (hasCompared || isCurrent || params.disks.length === 0) return result;
      return { ...result, warnings: [...result.warnings, OLD_SOURCE] };
    }
    // The source's process was killed before it heard that all was prepared.
    const prepared = await preparation.prepared();
    return { ...prepared, ...resumption.attach(session, channels, params) };
  }

  async #abort(
    served: Served,
    { reason, cancelled, code, side }: Params<"abort">,
  ): Promise<Result<"abort">> {
    const { session } = served;
    const { givingUp, start } = this.#phases;
    const { owner, failure, options } = this.#context;
    if (session !== owner && (owner || session !== this.#launched)) {
      if (!owner && !failure && !served.hasLeft) options.report(sourceLeft(reason));
      served.hasLeft = true;
      return { left: null };
    }
    // Also after a start that failed: the guest may run here, and "undone" would have it run twice.
    if (start.begun || HANDED_OVER.includes(this.#context.state)) {
      throw new RpcError("failed", "The guest was handed over already");
    }
    const kind = cancelled ? "cancelled" : "failed";
    // A source that gives up has not sent `finish` and never will.
    this.#context.told.resolve();
    // The source may have found a fault of this side, which is then to be mended here.
    const { code: word, peerCode } = codeFromPeer(code ?? "aborted-by-source");
    const error = new MigrationError(kind, word, side ?? "source", reason, { peerCode });
    await givingUp.give("fault", error);
    return { left: [...givingUp.left] };
  }

  async #status(served: Served, { migration }: Params<"status">): Promise<Result<"status">> {
    const context = this.#context;
    const isCurrent = context.isCurrent(migration);
    served.heardEnd = isCurrent && context.isFinal;
    // The outcome of another guest says nothing about this one.
    if (!isCurrent) return { state: "waiting", guest: null };
    const guest = await guestStatus(context.qmp) ?? null;
    let answer: Result<"status"> | undefined;
    await context.driver.take("status", {
      "answer status": () => answer = { state: context.state, guest },
    });
    return answer!;
  }

  async #onEnd(served: Served, rpc: RpcPeer, cause: SessionError | undefined): Promise<void> {
    const context = this.#context;
    const { session, channels } = served;
    this.#served.delete(session);
    // Before any wait: QEMU may end because its stream broke, and that must not become the reason.
    if (session === context.owner && cause) {
      context.ownerEnd ??= asMigrationError(cause, "destination");
    }
    await channels.join();
    await rpc.join();
    const isFinished = context.state === "finished" && session === context.owner;
    // A source ends its session only after it has the answers to its calls.
    const left = !cause || cause.code === "ended-by-peer";
    if (left && (served.heardEnd || isFinished)) context.told.resolve();
    // QEMU was started for this source alone.
    const isLaunch = !context.owner && session === this.#launched;
    if (session !== context.owner && !isLaunch) return;
    const error = cause
      ? asMigrationError(cause, "destination")
      : new MigrationError("failed", "source-gone", "source", "The source ended the session");
    await this.#phases.givingUp.give("fault", error);
    this.#phases.following.lostSource(error);
  }
}
