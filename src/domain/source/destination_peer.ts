import type { Clock, Logger } from "../../io/mod.ts";
import { openChannel, type Params, type Result, RpcPeer } from "../../rpc/mod.ts";
import type { Session, TunnelStream } from "../../tunnel/mod.ts";

/** How long the destination may take to look at its libvirt and its files, ms. */
const LOOK_MS = 60_000;
/** How long it may take to create the images, ms. */
const PREPARE_MS = 180_000;
/** How long it may take to hash a range of a disk, ms. */
const HASH_MS = 180_000;
/** How long it may take to remove them, ms. */
const SETTLE_MS = 120_000;
/** How long one answer on the domain's state may take, ms. */
const STATUS_MS = 30_000;
/** How long the destination may take to hear that nothing is prepared, ms. */
const ABORT_MS = 5_000;
/** How long a session may take to end cleanly, ms. */
const CLOSE_MS = 10_000;

/**
 * The destination of a domain as the source sees it: one session and the calls in it. Owns the session.
 * Each call throws an `RpcError` when the destination refuses, a `DeadlineError` when it does not answer
 * in time, the session's error when that ends first, the signal's reason when aborted.
 */
export class DomainPeer {
  /** The session of the calls. */
  readonly session: Session;
  readonly #rpc: RpcPeer;
  #described: Promise<Result<"describeDomainHost">> | undefined;

  /**
   * Serves no calls of its own.
   *
   * @param session owned by this peer from now on.
   */
  constructor(session: Session, options: { readonly clock: Clock; readonly log: Logger }) {
    this.session = session;
    this.#rpc = new RpcPeer(session.rpc, {
      ...options,
      handlers: {},
      onFault: (error) => session.abort(error.message, "protocol-error"),
    });
  }

  /** The destination's libvirt and host; asked once, unless that fails. */
  describeDomainHost(signal?: AbortSignal): Promise<Result<"describeDomainHost">> {
    const patience = this.#patience(LOOK_MS, signal);
    const described = this.#described ??= this.#rpc.call("describeDomainHost", {}, patience);
    described.catch(() => this.#described = undefined);
    return described;
  }

  /** The destination's side of the domain's files. */
  describeImages(
    params: Params<"describeImages">,
    signal?: AbortSignal,
  ): Promise<Result<"describeImages">> {
    return this.#rpc.call("describeImages", params, this.#patience(LOOK_MS, signal));
  }

  /** Has the destination create images and the directory of QEMU's sockets. */
  prepareDomain(
    params: Params<"prepareDomain">,
    signal?: AbortSignal,
  ): Promise<Result<"prepareDomain">> {
    return this.#rpc.call("prepareDomain", params, this.#patience(PREPARE_MS, signal));
  }

  /** Hashes of blocks of an export at the destination. */
  hashBlocks(params: Params<"hashBlocks">): Promise<Result<"hashBlocks">> {
    return this.#rpc.call("hashBlocks", params, this.#patience(HASH_MS));
  }

  /** The domain at the destination. */
  domainStatus(uuid: string, signal?: AbortSignal): Promise<Result<"domainStatus">> {
    return this.#rpc.call("domainStatus", { uuid }, this.#patience(STATUS_MS, signal));
  }

  /** Ends the migration at the destination. @returns what could not be removed there, as text. */
  async settleDomain(params: Params<"settleDomain">): Promise<readonly string[]> {
    return (await this.#rpc.call("settleDomain", params, this.#patience(SETTLE_MS))).left;
  }

  /** Reports to the destination why nothing is prepared. */
  async abort(why: Params<"abort">): Promise<void> {
    await this.#rpc.call("abort", why, { timeoutMs: ABORT_MS });
  }

  /** A stream to one of the destination's channels. */
  openChannel(channel: string, signal?: AbortSignal): Promise<TunnelStream> {
    // libvirt and RAM go with the RPC, the disks where there is room.
    const where = channel === "nbd" ? "any" : "first";
    return openChannel(this.session, this.#rpc, channel, signal, where);
  }

  /** Ends the session, cleanly if that is possible in time. */
  async close(): Promise<void> {
    await this.session.close(CLOSE_MS);
  }

  /** The connection may be down meanwhile. */
  #patience(ms: number, signal?: AbortSignal) {
    return {
      timeoutMs: ms + this.session.patienceMs,
      progress: () => this.session.progress,
      ...(signal ? { signal } : {}),
    };
  }
}
