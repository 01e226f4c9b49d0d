import {
  type BytePipe,
  type Clock,
  delay,
  type Logger,
  messageOf,
  rootOf,
  withDeadline,
} from "../../io/mod.ts";
import {
  asMigrationError,
  ERRORS,
  type FailureKind,
  MigrationError,
  type Report,
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
import { createAll, Recorded } from "./create.ts";
import { askLibvirt, describeDomainHost } from "./describe_host.ts";
import { describeImages } from "./describe_images.ts";
import { AnsweredPings } from "./keepalive.ts";
import { FinishGate } from "./finish_gate.ts";
import type { DestinationHost } from "./host.ts";
import { planDomain } from "./plan.ts";
import type { DomainJournal, DomainRecord } from "./record.ts";
import { removeCreated, removeSockets } from "./remove.ts";
import { domainStatus, settle, type Settlement } from "./settle.ts";
import { isSocketDir, socketDirs } from "./socket_dir.ts";

/** How long QEMU may take to make a socket that is dialed, ms. */
const SOCKET_MS = 20_000;
/** Time between two tries, ms. */
const RETRY_MS = 100;
/** Longest time for a source to leave after the end, ms. */
const LEAVE_MS = 5_000;

/** What the destination of a domain needs. */
export interface DomainDestinationOptions {
  /** This host. */
  readonly host: DestinationHost;
  /** Where libvirt may listen, in the order of preference. */
  readonly libvirtSockets: readonly string[];
  /** Where the effects on this host are recorded. */
  readonly journal: DomainJournal;
  /** The command that shows and finishes the migration at this end. */
  readonly recoverCommand: string;
  /** A source begins its migration in `session`: no other may begin one. */
  readonly claimed: (session: Session) => Promise<void>;
  /** The migrations of other processes of this host. */
  readonly others: OtherMigrations;
  /** Gets the events. */
  readonly report: Report;
  /** The time. */
  readonly clock: Clock;
  /** Gets diagnostics. */
  readonly log: Logger;
}

/** The migrations of other `receive --libvirt` of this host and user, running or killed. */
export interface OtherMigrations {
  /** Has those of a domain give up, as far as they still can: their source has come here. */
  fence(uuid: string): Promise<void>;
  /** Settles one by its source's word, once its process has ended. Resolves with what is left. */
  settle(params: Params<"settleDomain">): Promise<readonly string[]>;
}

interface Served {
  readonly session: Session;
  readonly channels: ChannelServer;
  /** The session has ended. */
  isOver: boolean;
}

/**
 * The destination of a migration that libvirt drives. A source prepares it and settles it; in between
 * libvirt works, over the channels. A source that ends without `settleDomain` leaves it to libvirt's
 * state here.
 */
export class DomainDestination {
  readonly #options: DomainDestinationOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #served = new Set<Served>();
  readonly #outcome = Promise.withResolvers<void>();
  readonly #told = Promise.withResolvers<void>();
  #recorded: Recorded | undefined;
  #owner: Session | undefined;
  /** The preparation is under way; resolves when it creates nothing any more. */
  #making: Promise<unknown> = Promise.resolve();
  /** The migration is being settled: Finish does not pass any more. */
  #settling: Promise<Settlement | undefined> | undefined;
  /** The channels of all sessions are being cut. */
  #cut: Promise<void> = Promise.resolve();
  #failure: MigrationError | undefined;
  #guest: string | null = null;
  #isOver = false;
  #mustStay = false;

  /** Begins nothing yet. */
  constructor(options: DomainDestinationOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /**
   * Resolves when the domain is at this host.
   *
   * @throws {MigrationError} when the migration failed, or nobody knows how it ended.
   */
  async outcome(): Promise<void> {
    await this.#outcome.promise;
    if (this.#failure) throw this.#failure;
  }

  /** Resolves when the source knows the outcome, or never prepared anything. */
  get told(): Promise<void> {
    return this.#told.promise;
  }

  /** The session that prepared the migration. */
  get source(): Session | undefined {
    return this.#owner;
  }

  /** The domain, once a source has named it. */
  get domain(): { readonly name: string; readonly uuid: string } | undefined {
    return this.#recorded?.current;
  }

  /** `running` or `paused` when the domain is here; `null` otherwise. */
  get guestStatus(): string | null {
    return this.#guest;
  }

  /** Bytes that crossed the tunnel, both directions. */
  get bytes(): number {
    return this.#owner?.bytes ?? 0;
  }

  /** The journal must stay: something is left, or it is not clear where the guest runs. */
  get mustStay(): boolean {
    return this.#mustStay;
  }

  /** Serves a session that a source has opened. */
  serve(session: Session): void {
    const channels = new ChannelServer(session, (end) => {
      if (end.error) this.#log.log("debug", `channel ${end.channel}: ${end.error.message}`);
    });
    channels.serve("libvirt", () => this.#dialLibvirt());
    const served: Served = { session, channels, isOver: false };
    this.#served.add(served);
    const rpc = new RpcPeer(session.rpc, {
      ...{ clock: this.#clock, log: this.#log },
      onFault: (error) => session.abort(error.message, "protocol-error"),
      handlers: this.#handlers(served),
    });
    session.ended.then((cause) => this.#onEnd(served, rpc, cause));
  }

  /** Cancels the migration, unless the guest may run here. */
  async cancel(reason: MigrationError): Promise<void> {
    if (this.#isOver || this.#settling || this.#recorded?.current.mayHaveRun) return;
    const owner = this.#owner;
    if (!this.#recorded) {
      this.#end(reason);
      this.#told.resolve();
    }
    // It cuts the channels at once; the source hears the reason before its virsh fails.
    const settled = this.#settleAlone(reason);
    owner?.abort(reason.message, "stopped");
    await settled;
  }

  /** Waits until the sources have left, five seconds at most. */
  async leave(): Promise<void> {
    await Promise.all([...this.#served].map(async ({ session, channels }) => {
      if (session !== this.#owner && session.state === "down") {
        session.abort("It is over", "stopped");
      }
      await withDeadline(this.#clock, LEAVE_MS, "the source to leave", session.ended).catch(() => {
        session.abort(this.#failure?.message ?? "The migration is over", "stopped");
      });
      await channels.cut();
      await session.close();
    }));
  }

  #handlers(served: Served): Handlers {
    const { host } = this.#options;
    const wrong = () => Promise.reject(new RpcError("refused", WRONG_COMMAND));
    return {
      openTunnel: (params) => served.channels.open(params),
      describeDomainHost: () => answered(describeDomainHost(host)),
      describeImages: (params) => answered(describeImages(host, params)),
      prepareDomain: (params) => answered(this.#prepare(served, params)),
      domainStatus: ({ uuid }) => answered(this.#status(served, uuid)),
      settleDomain: (params) => answered(this.#settleDomain(params)),
      // The calls of `vmferry migrate`.
      describe: wrong,
      describeDisks: wrong,
      prepare: wrong,
      attach: wrong,
    };
  }

  async #status({ session }: Served, uuid: string): Promise<Result<"domainStatus">> {
    const { host, others } = this.#options;
    // A source that asks in another session has lost the one of its migration, and decides by the answer:
    // what the old session still carries must not start the guest afterwards.
    if (this.#owner && session !== this.#owner && this.#recorded?.current.uuid === uuid) {
      const message = "The source came back in another session";
      this.#settleAlone(new MigrationError("failed", "connection-lost", "source", message));
      await this.#cut;
    }
    if (this.#recorded?.current.uuid !== uuid) await others.fence(uuid);
    return await domainStatus(host, uuid);
  }

  async #prepare(
    served: Served,
    params: Params<"prepareDomain">,
  ): Promise<Result<"prepareDomain">> {
    const { host, claimed, journal, report, recoverCommand } = this.#options;
    if (this.#owner || this.#isOver) {
      throw new RpcError("refused", "This receive has a migration already; start another receive");
    }
    this.#owner = served.session;
    const preparing = async () => {
      await claimed(served.session);
      const { owner } = await askLibvirt(host);
      const parents = await socketDirs(host, owner);
      if (!isSocketDir(params.socketDir, parents)) {
        throw new RpcError("bad-params", `${params.socketDir} is not in ${parents.join(", ")}`);
      }
      const recorded = new Recorded(journal, await planDomain(host, params));
      this.#recorded = recorded;
      report({ event: "phase", phase: "prepare" });
      await createAll(host, owner, recorded, params.images);
      return recorded.current;
    };
    const making = preparing();
    this.#making = making.catch(() => {});
    let record: DomainRecord;
    try {
      record = await making;
    } catch (error) {
      await this.#undoPreparation();
      throw error;
    }
    if (this.#settling || this.#isOver) {
      throw new RpcError("failed", this.#failure?.message ?? "The migration was given up");
    }
    for (const channel of ["ram", "nbd"] as const) {
      const path = `${record.socketDir}/${channel}.sock`;
      const dial = () => this.#dialQemu(served, channel, path);
      served.channels.serve(channel, dial, { narrow: channel === "ram" });
    }
    report({ event: "phase", phase: "mirror" });
    return { created: record.images.map(({ path }) => path), recover: recoverCommand };
  }

  /** Removes what a preparation that failed has created. The source may prepare again. */
  async #undoPreparation(): Promise<void> {
    const record = this.#recorded?.current;
    if (record && !this.#settling) {
      const left = await removeCreated(this.#options.host, record);
      this.#warnOf(left);
      if (left.length === 0) await this.#recorded!.write({ state: "failed" }).catch(() => {});
    }
    if (this.#settling || this.#mustStay) return;
    this.#recorded = undefined;
    this.#owner = undefined;
  }

  async #settleDomain(params: Params<"settleDomain">): Promise<Result<"settleDomain">> {
    const recorded = this.#recorded;
    if (recorded?.current.migration !== params.migration) {
      return leftOf(await this.#options.others.settle(params));
    }
    const left = params.outcome === "migrated"
      ? await this.#settleMigrated(recorded)
      : await this.#settleFailed(recorded);
    this.#told.resolve();
    return leftOf(left);
  }

  async #settleMigrated(recorded: Recorded): Promise<readonly string[]> {
    const { host } = this.#options;
    await this.#settling;
    await recorded.write({ state: "migrated", mayHaveRun: true });
    const left = await removeSockets(host, recorded.current);
    this.#warnOf(left);
    const status = await domainStatus(host, recorded.current.uuid).catch(() => undefined);
    this.#guest = status?.state === "running" || status?.state === "paused" ? status.state : null;
    this.#arrive();
    return left;
  }

  async #settleFailed(recorded: Recorded): Promise<readonly string[]> {
    const { host } = this.#options;
    const before = await this.#settling;
    if (before?.verdict === "removed" || before?.verdict === "here") return before.left;
    this.#settling = (async () => {
      await (this.#cut = this.#cutAll());
      return await settle(host, recorded.current, "source");
    })();
    const settlement = (await this.#settling)!;
    await this.#close(recorded, settlement);
    const message = settlement.verdict === "here"
      ? "The source reports a failure, but the domain is here"
      : "The source ended the migration; its message has the reason";
    this.#end(new MigrationError("failed", "domain-failed", "source", message));
    if (settlement.verdict === "here") return [...settlement.left, HERE];
    return settlement.left;
  }

  /** Settles without a source: libvirt's state decides. */
  async #settleAlone(reason: MigrationError): Promise<void> {
    const recorded = this.#recorded;
    if (this.#settling || this.#isOver || !recorded) return;
    this.#settling = (async () => {
      // Before the first wait: what is cut must not pass a Finish.
      await (this.#cut = this.#cutAll());
      await this.#making;
      return await settle(this.#options.host, recorded.current, "nobody");
    })();
    const settlement = (await this.#settling)!;
    await this.#close(recorded, settlement);
    const { verdict, status, left } = settlement;
    if (verdict === "here") {
      this.#guest = status!.state;
      return this.#arrive();
    }
    if (verdict === "removed") {
      this.#told.resolve();
      return this.#end(reason);
    }
    const { name } = recorded.current;
    const because = verdict === "unclear"
      ? `libvirt does not say whether it runs here: ${left.join("; ")}`
      : "it is not active here, and may have run here before";
    const message = `${reason.message}. Where domain ${name} runs is not known: ${because}. ` +
      "Its images stay. Look at 'virsh list --all' on both hosts before you start it";
    this.#end(new MigrationError("unknown", "domain-unsettled", "destination", message));
  }

  /** Writes how it ended and keeps the journal if something is left. */
  async #close(recorded: Recorded, { verdict, left }: Settlement): Promise<void> {
    this.#mustStay = false;
    this.#warnOf(verdict === "unclear" ? [] : left);
    if (verdict === "unclear" || verdict === "may-have-run") this.#mustStay = true;
    else {
      const state = verdict === "here" ? "migrated" : "failed";
      const change = verdict === "here" ? { state, mayHaveRun: true } as const : { state } as const;
      // What is left stays in the journal in the state that has it removed later.
      if (left.length > 0 && verdict === "removed") return;
      await recorded.write(change).catch((error) =>
        this.#log.log("warning", `the journal: ${messageOf(error)}`)
      );
    }
  }

  #warnOf(left: readonly string[]): void {
    if (left.length === 0) return;
    this.#mustStay = true;
    const message = `Not removed at the destination: ${left.join("; ")}. The next ` +
      "'vmferry receive --libvirt' on this host tries again";
    this.#options.report({ event: "warning", code: "not-undone", message });
  }

  #arrive(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.report({ event: "phase", phase: "done" });
    this.#outcome.resolve();
  }

  #end(failure: MigrationError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
    this.#outcome.resolve();
  }

  async #cutAll(): Promise<void> {
    await Promise.all([...this.#served].map(({ channels }) => channels.cut()));
  }

  async #dialLibvirt(): Promise<FinishGate> {
    const { libvirtSockets, host } = this.#options;
    let first: unknown;
    for (const path of libvirtSockets) {
      try {
        const pipe = new AnsweredPings(await host.connectUnix(path));
        return new FinishGate(pipe, () => this.#beforeFinish());
      } catch (error) {
        // The first one that exists has the reason.
        if (first === undefined || isMissing(first)) first = error;
      }
    }
    throw first ?? new Error("libvirt has no socket");
  }

  /** libvirt is about to start the guest: from now on only its state tells whether it runs here. */
  async #beforeFinish(): Promise<void> {
    const recorded = this.#recorded;
    if (!recorded || this.#isOver || this.#settling) {
      throw new Error("The migration was given up at the destination");
    }
    await recorded.write({ mayHaveRun: true });
    if (this.#settling) throw new Error("The migration was given up at the destination");
    this.#options.report({ event: "phase", phase: "handover" });
  }

  /** Connects to a socket that QEMU makes, perhaps a moment later. */
  async #dialQemu(served: Served, channel: "ram" | "nbd", path: string): Promise<BytePipe> {
    const { host, report } = this.#options;
    const until = this.#clock.now() + SOCKET_MS;
    while (true) {
      try {
        const pipe = await host.connectUnix(path);
        if (channel === "ram") report({ event: "phase", phase: "ram" });
        return pipe;
      } catch (error) {
        const isTooLate = this.#settling || served.isOver || this.#clock.now() >= until;
        if (isTooLate) throw error;
      }
      await delay(this.#clock, RETRY_MS);
    }
  }

  async #onEnd(served: Served, rpc: RpcPeer, cause: SessionError | undefined): Promise<void> {
    const { session, channels } = served;
    const isOwner = session === this.#owner;
    served.isOver = true;
    await channels.cut();
    await channels.join();
    await rpc.join();
    this.#served.delete(served);
    // `prepareDomain` may have failed meanwhile, and undone everything.
    if (!isOwner || session !== this.#owner) return;
    await this.#settleAlone(
      cause
        ? asMigrationError(cause, "destination")
        : new MigrationError("failed", "source-gone", "source", "The source ended the session"),
    );
  }
}

function isMissing(error: unknown): boolean {
  const root = rootOf(error);
  return root instanceof Error && root.name === "NotFound";
}

function leftOf(left: readonly string[]): Result<"settleDomain"> {
  return { left: left.map((text) => text.slice(0, 1024)).slice(0, 64) };
}

const WRONG_COMMAND =
  "This receive takes a domain of libvirt. Use 'vmferry domain NAME DESTINATION', or start " +
  "'vmferry receive --qmp PATH' here for 'vmferry migrate'";
const HERE = "The domain is active at the destination; its images stay";

/** The answer to a call, with errors that the source can take apart. */
async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RpcError) throw error;
    const { kind, code, message, problems } = asMigrationError(error, "destination");
    // A code that says of itself that nothing was touched goes with its name.
    const kinds: readonly FailureKind[] = ERRORS[code].kinds;
    const isRefusal = kind === "refused" && kinds.includes("failed");
    throw new RpcError(isRefusal ? "refused" : code, message, problems);
  }
}
