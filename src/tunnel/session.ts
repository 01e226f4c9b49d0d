import type { Joinable } from "./connection/join.ts";
import type { SessionIdentity } from "./connection/handshake.ts";
import { ProtocolError, SessionError } from "./errors.ts";
import { Lane } from "./lane.ts";
import { LaneLinks } from "./lane_links.ts";
import * as limits from "./limits.ts";
import { Pacer } from "./send/pacer.ts";
import type { LinkChange, SessionState } from "./session_connection.ts";
import type { SessionOptions } from "./session_parts.ts";
import { SessionTotals } from "./session_totals.ts";
import type { TunnelStream } from "./stream/stream.ts";
import type { Hello } from "./wire/hello.ts";
import type { GoawayCode } from "./wire/layout.ts";

/**
 * Many byte streams and one RPC stream between two ends (docs/tunnel-protocol.md, sections 5 to 7), in
 * one lane or several. Each {@link Lane} has one connection at a time. The RPC is in the first one; a
 * stream stays in the lane that it was opened in. A lane that is lost for good ends the session.
 *
 * Owns its lanes. A stream's other side belongs to the caller that opened it.
 *
 * @example Two ends in one process
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { silentLogger, systemClock, writeAll } from "../io/mod.ts";
 * import { memoryNetwork } from "../../tests/support/cutting.ts";
 * import { connectSession, SessionServer } from "./mod.ts";
 *
 * const network = memoryNetwork();
 * const common = {
 *   local: { secret: new Uint8Array(32), graceMs: 60_000, version: "1.0.0" },
 *   clock: systemClock,
 *   log: silentLogger,
 * };
 * const { promise, resolve } = Promise.withResolvers<Session>();
 * const server = new SessionServer(network.acceptor, { ...common, onSession: resolve });
 * const session = await connectSession({
 *   ...common,
 *   dial: network.dial,
 *   connectMs: 5000,
 *   mayReconnect: true,
 * });
 *
 * const stream = session.open();
 * const other = (await promise).accept(stream.id);
 * await writeAll(stream, new TextEncoder().encode("hello"));
 * const room = new Uint8Array(16);
 * const n = await other.read(room);
 * assertEquals(new TextDecoder().decode(room.subarray(0, n!)), "hello");
 *
 * await Promise.all([stream.closeWrite(), other.closeWrite()]);
 * assertEquals(await session.close(), undefined);
 * await server.close();
 * ```
 */
export class Session extends SessionTotals implements Joinable {
  /** The lane of the RPC. */
  override readonly first: Lane;
  /** How many lanes the session may have, the first one included. */
  readonly mostLanes: number;
  /** Resolves at the end: `undefined` after a clean one, else why. Never rejects. */
  readonly ended: Promise<SessionError | undefined>;

  readonly #options: SessionOptions;
  /** What all lanes share. */
  readonly #shared = { pacer: new Pacer(), counts: { opened: 0, accepted: 0 } };
  /** The lanes after the first one, by number. */
  readonly #others = new Map<number, Lane>();
  readonly #links: LaneLinks;
  #opener: (() => Promise<void>) | undefined;
  #opening: Promise<void> | undefined;

  /** A session with its first lane and without a connection; `first.attach` gives it one. */
  constructor(options: SessionOptions) {
    super();
    this.#options = options;
    this.mostLanes = options.lanes ?? 1;
    // Bytes in another lane may not have arrived yet when those in the first one have. Of a lane whose
    // other end may not know that it joined, nothing is waited for.
    const mayEnd = () =>
      this.#further.every(({ state, isJoined }) => state === "ended" || !isJoined);
    this.first = new Lane({ ...options, ...this.#shared, lane: 0, mayEnd });
    this.#links = new LaneLinks(this.first);
    // With one lane the session is that lane, also in the order in which listeners are called.
    this.ended = this.mostLanes === 1 ? this.first.ended : this.first.ended.then((cause) => {
      const why = cause ?? new SessionError("closed", "The session has ended");
      for (const lane of this.#further) lane.drop(why);
      return cause;
    });
  }

  /** The lanes that it has now. */
  override get lanes(): readonly Lane[] {
    return [this.first, ...this.#further];
  }

  get #further(): readonly Lane[] {
    // In the order of their numbers, not in that in which they joined.
    return [...this.#others.values()].sort((a, b) => a.number - b.number);
  }

  /** `down`: some lane has no connection. */
  get state(): SessionState {
    const { state } = this.first;
    return state === "up" && this.#links.isDown ? "down" : state;
  }

  /** How many lanes have no connection. */
  get lanesDown(): number {
    return this.#links.down;
  }

  /**
   * Calls `listener` when a connection is lost, and when every lane has one again.
   *
   * @returns a function that removes the listener.
   */
  onLink(listener: (change: LinkChange) => void): () => void {
    return this.mostLanes === 1 ? this.first.onLink(listener) : this.#links.onChange(listener);
  }

  /** Limits all streams together, the RPC excepted, to `rate` bytes per second, from now on. */
  setBandwidth(rate: number): void {
    for (const lane of this.lanes) lane.setBandwidth(rate);
  }

  // Lanes

  /** Whether {@link openLanes} has something to do. */
  get lacksLanes(): boolean {
    return this.#opener !== undefined && (this.#options.wantedLanes ?? 1) > this.lanes.length;
  }

  /** For the connecting end: how it opens the lanes that are not there. */
  openLanesBy(opener: () => Promise<void>): void {
    this.#opener = opener;
  }

  /**
   * Opens the lanes that this end wants and that are not there. Calls at the same time share one try.
   *
   * @throws {SessionError} code `refused` when the other end allows fewer, `unreachable` when a lane
   * got no connection, or the session's own when that ends first.
   */
  openLanes(): Promise<void> {
    if (!this.lacksLanes) return Promise.resolve();
    const { wantedLanes = 1 } = this.#options;
    if (this.mostLanes < wantedLanes) {
      const allowed = this.mostLanes === 1 ? "one connection" : `${this.mostLanes} connections`;
      const message = `The other end's vmferry takes ${allowed} only, expected ${wantedLanes}`;
      return Promise.reject(new SessionError("refused", message, { refusal: "not-allowed" }));
    }
    return this.#opening ??= this.#opener!().finally(() => this.#opening = undefined);
  }

  /** {@inheritDoc Joinable.refusalOf} */
  refusalOf(number: number): string | undefined {
    if (this.first.state === "ended" || this.first.ending) return "The session is ending";
    if (this.mostLanes === 1) return "This session has one lane";
    if (number >= this.mostLanes) {
      return `Got lane ${number}, expected 1 to ${this.mostLanes - 1} in this session`;
    }
    // An other end that has not heard the answer to its first try comes again.
    if (this.#others.get(number)?.isJoined) return `Lane ${number} of this session is in use`;
    return undefined;
  }

  /**
   * Adds a lane whose handshake is done, or about to be; `attach` gives it its connection. It replaces
   * one of the same number that the other end has not heard of.
   *
   * @throws {SessionError} when it may not join.
   */
  join(number: number, opened: { identity: SessionIdentity; peer: Hello }): Lane {
    const refusal = this.refusalOf(number);
    if (refusal !== undefined) throw new SessionError("closed", refusal);
    const { identity, peer } = opened;
    const lane = new Lane({
      ...this.#options,
      ...this.#shared,
      ...{ identity, peer, lane: number },
    });
    const replaced = this.#others.get(number);
    this.#others.set(number, lane);
    this.#links.add(lane, replaced);
    replaced?.drop(new SessionError("closed", "A newer connection took over"));
    lane.ended.then((cause) => {
      if (this.#others.get(number) !== lane) return;
      if (cause?.code === "lost" && !lane.isJoined) {
        // Its other end tries again if it wants the lane.
        this.#others.delete(number);
        this.#links.remove(lane);
      } else if (cause) this.#fail(lane, cause);
      this.first.mayEndNow();
    });
    return lane;
  }

  /** The lane of this number, if it has joined. */
  lane(number: number): Lane | undefined {
    return number === 0 ? this.first : this.#others.get(number);
  }

  #fail(lane: Lane, cause: SessionError): void {
    if (cause.code === "protocol-error") return this.first.faultedBeside(cause);
    // As the loss of the first lane: the other end finds out by itself, and may still be asked.
    const part = `connection ${lane.number + 1} of ${this.mostLanes}`;
    this.first.drop(cause.code === "lost" ? cause.of(part) : cause);
  }

  // Streams

  /**
   * Opens a stream with the next id of this end. The caller asks the other end by RPC to accept it
   * (`openTunnel`) and sends nothing before the answer.
   *
   * @param where `first`: in the first lane. Default: in the lane with the fewest streams.
   * @throws {SessionError} when the session is over or about to end.
   * @throws {RangeError} when as many are open as the other end allows.
   */
  open(where: "any" | "first" = "any"): TunnelStream {
    if (where === "first" || this.#others.size === 0 || this.first.ending) return this.first.open();
    const able = this.lanes.filter(({ state, ending, isJoined }) =>
      state !== "ended" && !ending && isJoined
    );
    const up = able.filter((lane) => lane.state === "up");
    let best = this.first;
    // Of equals the last one: the first lane has the RPC and RAM.
    for (const lane of up.length > 0 ? up : able) {
      if (lane.openStreams <= best.openStreams || best.state !== "up") best = lane;
    }
    return best.open();
  }

  /**
   * Opens the stream that the other end named in its `openTunnel`.
   *
   * @throws {ProtocolError} when the id is not one of the other end's, or was used, or the lane has not
   * joined; ends the session.
   * @throws {SessionError} when the session is over or about to end.
   * @throws {RangeError} when {@link limits.MAX_STREAMS} are open.
   */
  accept(id: number, lane = 0): TunnelStream {
    const on = this.lane(lane);
    if (on) return on.accept(id);
    const error = new ProtocolError(`Got a stream on lane ${lane}, which has not joined`);
    this.abort(error.message, "protocol-error");
    throw error;
  }

  /** Forgets a stream of ours that the other end refused to open; it fails with `failure`. */
  abandon(stream: TunnelStream, failure: Error): void {
    this.lane(stream.lane)?.abandon(stream, failure);
  }

  /**
   * Resolves when no lane can deliver a byte any more of a stream that was reset here. A stream that is
   * opened before could overtake those bytes on another lane. Rejects when the session ends first.
   *
   * @throws {SessionError} that of the session.
   */
  async resetsDelivered(): Promise<void> {
    if (this.#others.size === 0 || !this.lanes.some((lane) => lane.hasResets)) return;
    const over = this.ended.then((cause) => {
      throw cause ?? new SessionError("closed", "The session has ended");
    });
    await Promise.race([Promise.all(this.lanes.map((lane) => lane.resetsDelivered())), over]);
  }

  // The end

  /**
   * Ends the session cleanly: waits until the streams have ended, sends GOAWAY `done` on every lane,
   * last on the first one, and waits for the other end's. Resolves when the connections are closed too.
   * A session that ends with a reason keeps the connection until the other end has it,
   * {@link limits.LAST_WORD_MS} at most.
   *
   * @param deadlineMs after this the session is aborted.
   * @returns why it did not end cleanly, or `undefined`.
   */
  async close(deadlineMs: number = limits.CLOSE_MS): Promise<SessionError | undefined> {
    if (this.#others.size === 0) return await this.first.close(deadlineMs);
    const [cause] = await Promise.all(this.lanes.map((lane) => lane.close(deadlineMs)));
    return cause;
  }

  /** Ends the session now; the other end gets the reason if it reads within a second. */
  abort(reason: string, code: GoawayCode): void {
    for (const lane of this.lanes) lane.abort(reason, code);
  }
}
