import { type Clock, type Logger, messageOf, withDeadline } from "../../io/mod.ts";
import { openConnections } from "../../migrate/mod.ts";
import type { Result } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import { DomainPeer } from "./destination_peer.ts";
import type { DestinationFacts } from "./settle/verdict.ts";

/** How long a new session may take to be made, ms. */
const CONNECT_MS = 30_000;

/**
 * The destination across sessions: the migration's own one, and a new one to ask with when that has ended.
 * Owns them.
 */
export class Sessions {
  readonly #connect: (signal: AbortSignal) => Promise<Session>;
  readonly #options: { readonly clock: Clock; readonly log: Logger };
  #peer: DomainPeer | undefined;
  #bytesBefore = 0;
  #carriedBefore = 0;
  #host: Result<"describeDomainHost"> | undefined;

  /** Makes no session yet. */
  constructor(
    connect: (signal: AbortSignal) => Promise<Session>,
    options: { readonly clock: Clock; readonly log: Logger },
  ) {
    this.#connect = connect;
    this.#options = options;
  }

  /** The peer in use; `undefined` before the first one. Its session may have ended. */
  get peer(): DomainPeer | undefined {
    return this.#peer;
  }

  /** Bytes that crossed so far, both directions. */
  get bytes(): number {
    return this.#bytesBefore + (this.#peer?.session.bytes ?? 0);
  }

  /** As `bytes`, but as many as there would be without compression. */
  get carried(): number {
    return this.#carriedBefore + (this.#peer?.session.carried ?? 0);
  }

  /** The host UUID of the peer in use; `undefined` before {@link describe}. */
  get hostUuid(): string | undefined {
    return this.#host?.hostUuid;
  }

  /** The destination's libvirt and host, asked once in each session. Throws as `DomainPeer`. */
  async describe(signal?: AbortSignal): Promise<Result<"describeDomainHost">> {
    return this.#host ??= await this.#peer!.describeDomainHost(signal);
  }

  /** Makes the first session, with all its connections. Throws as `connect` and `openConnections` do. */
  async open(signal: AbortSignal): Promise<DomainPeer> {
    const session = await this.#connect(signal);
    this.#peer = new DomainPeer(session, this.#options);
    await openConnections(session, signal);
    return this.#peer;
  }

  /**
   * Asks how the domain is at the destination, in a new session if the one in use has ended.
   *
   * @throws while nobody answers.
   */
  async ask(uuid: string): Promise<DestinationFacts> {
    const peer = this.#peer && this.#peer.session.state !== "ended"
      ? this.#peer
      : await this.#openAgain();
    await this.describe();
    return await peer.domainStatus(uuid);
  }

  /** Reports the end of an earlier migration to the destination. Never rejects. */
  async settle(migration: string, outcome: "migrated" | "failed"): Promise<void> {
    try {
      const left = await this.#peer?.settleDomain({ migration, outcome }) ?? [];
      if (left.length > 0) this.#options.log.log("warning", `the destination: ${left.join("; ")}`);
    } catch (error) {
      this.#options.log.log("info", `the destination: ${messageOf(error)}`);
    }
  }

  /** Ends the session in use. Never rejects. */
  async close(): Promise<void> {
    await this.#peer?.close()
      .catch((error) => this.#options.log.log("debug", `close: ${messageOf(error)}`));
  }

  async #openAgain(): Promise<DomainPeer> {
    const { clock, log } = this.#options;
    const stop = new AbortController();
    log.log("info", "connecting again, to ask the destination for the domain");
    const opening = this.#connect(stop.signal);
    try {
      const session = await withDeadline(clock, CONNECT_MS, "a new session", opening);
      this.#bytesBefore = this.bytes;
      this.#carriedBefore = this.carried;
      this.#host = undefined;
      return this.#peer = new DomainPeer(session, this.#options);
    } catch (error) {
      stop.abort(error);
      opening.then((session) => session.close(), () => {});
      throw error;
    }
  }
}
