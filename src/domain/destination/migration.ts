import { type Clock, type Logger, withDeadline } from "../../io/mod.ts";
import { asMigrationError, ExportReaders, MigrationError, sourceLeft } from "../../migrate/mod.ts";
import {
  ChannelServer,
  type Handlers,
  type Params,
  type Result,
  RpcError,
  RpcPeer,
} from "../../rpc/mod.ts";
import type { Session, SessionError } from "../../tunnel/mod.ts";
import { answered, hashExport, leftOf, WRONG_COMMAND } from "./answers.ts";
import { createAll, Recorded } from "./create.ts";
import { DescribedHost } from "./describe_host.ts";
import { hasRun } from "./has_run.ts";
import { describeImages } from "./describe_images.ts";
import { dialLibvirt, dialQemu } from "./dial.ts";
import { Ending } from "./ending.ts";
import type { DomainDestinationOptions } from "./options.ts";
import { planDomain } from "./plan.ts";
import type { DomainRecord } from "./record.ts";
import { statusForSource } from "./settle.ts";

/** Longest time for a source to leave after the end, ms. */
const LEAVE_MS = 5_000;

const GIVEN_UP = "The migration was given up at the destination";

interface Served {
  readonly session: Session;
  readonly channels: ChannelServer;
  /** Of QEMU's exports, for the source that has prepared. */
  readers?: ExportReaders;
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
  readonly #ending: Ending;
  readonly #described: DescribedHost;
  #recorded: Recorded | undefined;
  /** RAM has begun to cross: libvirt may have paused the guest at the source for good. */
  #ramCrosses = false;
  #owner: Session | undefined;
  /** How a source's question found its domain here last; `null`: not active. */
  #foundHere: string | null = null;
  /** The preparation is under way; resolves when it creates nothing any more. */
  #making: Promise<unknown> = Promise.resolve();

  /** Begins nothing yet. */
  constructor(options: DomainDestinationOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#described = new DescribedHost(options.host);
    this.#ending = new Ending({ ...options, cutAll: () => this.#cutAll() });
  }

  /**
   * Resolves when the domain is at this host.
   *
   * @throws {MigrationError} when the migration failed, or nobody knows how it ended.
   */
  async outcome(): Promise<void> {
    await this.#ending.outcome;
    if (this.#ending.failure) throw this.#ending.failure;
  }

  /** Resolves when the source knows the outcome, or never prepared anything. */
  get told(): Promise<void> {
    return this.#ending.told;
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
    return this.#ending.guest;
  }

  /** Bytes that crossed the tunnel, both directions. */
  get bytes(): number {
    return this.#owner?.bytes ?? 0;
  }

  /** The journal must stay: something is left, or it is not clear where the guest runs. */
  get mustStay(): boolean {
    return this.#ending.mustStay;
  }

  /** Serves a session that a source has opened. */
  serve(session: Session): void {
    const channels = new ChannelServer(session, (end) => {
      if (end.error) this.#log.log("debug", `channel ${end.channel}: ${end.error.message}`);
    });
    const { host, libvirtSockets } = this.#options;
    channels.serve("libvirt", () => {
      return dialLibvirt(host, libvirtSockets, () => this.#beforeFinish());
    });
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
    if (this.#ending.hasBegun || this.#recorded?.current.mayHaveRun) return;
    const owner = this.#owner;
    if (!this.#recorded) this.#ending.giveUp(reason);
    // It cuts the channels at once; the source hears the reason before its virsh fails.
    const settled = this.#settleAlone(reason);
    owner?.abort(reason.message, "stopped");
    await settled;
  }

  /** Waits until the sources have left, five seconds at most. */
  async leave(): Promise<void> {
    await Promise.all([...this.#served].map(async ({ session, channels }) => {
      if (session !== this.#owner && session.first.state === "down") {
        session.abort("It is over", "stopped");
      }
      await withDeadline(this.#clock, LEAVE_MS, "the source to leave", session.ended).catch(() => {
        session.abort(this.#ending.failure?.message ?? "The migration is over", "stopped");
      });
      await channels.cut();
      await session.close();
    }));
  }

  /** No source has prepared anything. */
  get #isIdle(): boolean {
    return !this.#owner && !this.#ending.hasBegun;
  }

  #handlers(served: Served): Handlers {
    const { host } = this.#options;
    const wrong = () => Promise.reject(new RpcError("refused", WRONG_COMMAND));
    return {
      openTunnel: (params) => served.channels.open(params),
      describeDomainHost: () => answered(this.#described.describe()),
      describeImages: (params) => answered(describeImages(host, params)),
      prepareDomain: (params) => answered(this.#prepare(served, params)),
      domainStatus: ({ uuid }) => answered(this.#status(served, uuid)),
      settleDomain: (params) => answered(this.#settleDomain(params)),
      hashBlocks: (params) => answered(hashExport(served.readers, params)),
      abort: ({ reason }) => {
        if (this.#isIdle) this.#options.report(sourceLeft(reason));
        return Promise.resolve({ left: null });
      },
      // The calls of `vmferry migrate`.
      ...{ describe: wrong, describeDisks: wrong, prepare: wrong, attach: wrong },
    };
  }

  async #status({ session }: Served, uuid: string): Promise<Result<"domainStatus">> {
    const { host, others } = this.#options;
    // A source that asks in another session has lost the one of its migration, and decides by the answer:
    // what the old session still carries must not start the guest afterwards.
    if (this.#owner && session !== this.#owner && this.#recorded?.current.uuid === uuid) {
      const message = "The source came back in another session";
      this.#settleAlone(new MigrationError("failed", "connection-lost", "source", message));
      await this.#ending.cut;
    }
    const own = this.#recorded?.current.uuid === uuid ? this.#recorded : undefined;
    if (!own) await others.fence(uuid);
    const status = await statusForSource(host, uuid, () => {
      return own ? hasRun(host, own.current) : others.hasRun(uuid);
    });
    const { state } = status;
    this.#foundHere = state === "running" || state === "paused" ? state : null;
    return status;
  }

  async #prepare(
    served: Served,
    params: Params<"prepareDomain">,
  ): Promise<Result<"prepareDomain">> {
    const { host, claimed, journal, report, recoverCommand } = this.#options;
    if (this.#owner || this.#ending.hasBegun) {
      throw new RpcError("refused", "This receive has a migration already; start another receive");
    }
    this.#owner = served.session;
    report({ event: "migration", migration: params.migration });
    const preparing = async () => {
      await claimed(served.session);
      const owners = await this.#described.ownersOf(params.socketDir, params.owner);
      const recorded = new Recorded(journal, await planDomain(host, params));
      await this.#options.others.forgetArrived(params.uuid);
      // Cancelled meanwhile: nobody would undo what is created from here on.
      if (this.#ending.hasBegun) throw new RpcError("failed", GIVEN_UP);
      this.#recorded = recorded;
      report({ event: "phase", phase: "prepare" });
      await createAll(host, owners, recorded, params.images);
      return recorded.current;
    };
    const making = preparing();
    this.#making = making.catch(() => {});
    let record: DomainRecord;
    try {
      record = await making;
    } catch (error) {
      await this.#ending.unprepared(this.#recorded, asMigrationError(error, "destination"));
      throw error;
    }
    if (this.#ending.hasBegun) {
      throw new RpcError("failed", this.#ending.failure?.message ?? GIVEN_UP);
    }
    served.readers = new ExportReaders(() => host.connectUnix(`${record.socketDir}/nbd.sock`));
    for (const channel of ["ram", "nbd"] as const) {
      const isTooLate = () => served.isOver || this.#ending.hasBegun;
      const dial = async () => {
        const pipe = await dialQemu(host, `${record.socketDir}/${channel}.sock`, isTooLate);
        if (channel === "ram") {
          this.#ramCrosses = true;
          report({ event: "phase", phase: "ram" });
        }
        return pipe;
      };
      served.channels.serve(channel, dial, { narrow: channel === "ram" });
    }
    report({ event: "phase", phase: "mirror" });
    return { created: record.images.map(({ path }) => path), recover: recoverCommand };
  }

  async #settleDomain(params: Params<"settleDomain">): Promise<Result<"settleDomain">> {
    const recorded = this.#recorded;
    if (recorded?.current.migration !== params.migration) {
      const left = await this.#options.others.settle(params);
      // The source has nothing more to migrate, and this end nothing to wait for.
      if (this.#isIdle && params.outcome === "migrated") {
        this.#ending.arrivedEarlier(this.#foundHere);
      }
      return leftOf(left);
    }
    return leftOf(await this.#ending[params.outcome](recorded));
  }

  async #cutAll(): Promise<void> {
    for (const { readers } of this.#served) readers?.close();
    await Promise.all([...this.#served].map(({ channels }) => channels.cut()));
  }

  /** libvirt is about to start the guest: from now on only its state tells whether it runs here. */
  async #beforeFinish(): Promise<void> {
    const recorded = this.#recorded;
    if (!recorded || this.#ending.hasBegun) {
      throw new Error(GIVEN_UP);
    }
    await recorded.write({ mayHaveRun: true, askedAt: this.#options.host.wallMs() });
    if (this.#ending.hasBegun) throw new Error(GIVEN_UP);
    this.#options.report({ event: "phase", phase: "handover" });
  }

  /** Settles what this end has, without its source. */
  async #settleAlone(reason: MigrationError): Promise<void> {
    const recorded = this.#recorded;
    if (recorded) {
      const mayAsk = () => this.#ramCrosses;
      await this.#ending.alone(recorded, { made: this.#making, reason, mayAsk });
    }
  }

  async #onEnd(served: Served, rpc: RpcPeer, cause: SessionError | undefined): Promise<void> {
    const { session, channels } = served;
    served.isOver = true;
    await channels.cut();
    await channels.join();
    await rpc.join();
    this.#served.delete(served);
    if (session !== this.#owner) return;
    await this.#settleAlone(
      cause
        ? asMigrationError(cause, "destination")
        : new MigrationError("failed", "source-gone", "source", "The source ended the session"),
    );
  }
}
