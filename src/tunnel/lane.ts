import { type BytePipe, type Clock, withDeadline } from "../io/mod.ts";
import type { Resumable, SessionIdentity } from "./connection/handshake.ts";
import { ProtocolError, SessionError } from "./errors.ts";
import * as limits from "./limits.ts";
import type { LinkChange, SessionState } from "./session_connection.ts";
import { joinParts, type LaneOptions, type LaneParts } from "./session_parts.ts";
import type { TunnelStream } from "./stream/stream.ts";
import type { Hello } from "./wire/hello.ts";
import type { GoawayCode } from "./wire/layout.ts";

/**
 * One lane of a session: byte streams over one connection at a time (docs/tunnel-protocol.md, sections
 * 5 to 7). When the connection is lost the lane waits for another one and goes on where it was: it
 * sends again everything that was not acknowledged.
 *
 * Owns its parts, its connection and the fate of its streams. Owned by the session.
 */
export class Lane implements Resumable {
  /** 0: the first one, which carries the RPC. */
  readonly number: number;
  /** Which end this is. */
  readonly role: "connecting" | "listening";
  /** What a later connection proves that it belongs to this session with. */
  readonly identity: SessionIdentity;
  /** The other end's HELLO. */
  readonly peer: Hello;
  /** Address of the other end of the first connection, as `HOST:PORT`, if it is known. */
  readonly from: string | undefined;
  /** How long the session lives without a connection, ms; the lower value of the two ends. */
  readonly graceMs: number;
  /** Stream 0: carries the RPC. */
  readonly rpc: TunnelStream;

  readonly #clock: Clock;
  readonly #parts: LaneParts;

  /** A lane without a connection; {@link attach} gives it one. */
  constructor(options: LaneOptions) {
    this.number = options.lane;
    this.role = options.role;
    this.identity = options.identity;
    this.peer = options.peer;
    this.from = options.from;
    this.#clock = options.clock;
    this.#parts = joinParts(options);
    this.graceMs = this.#parts.graceMs;
    this.rpc = this.#parts.streams.rpc;
  }

  /** Whether a connection carries the session. */
  get state(): SessionState {
    return this.#parts.connection.state;
  }

  /** Connections so far, one after the other; 1 when none was lost. */
  get connections(): number {
    return this.#parts.connection.count;
  }

  /** Epoch of the connection in use; the next one must name a higher one. */
  get epoch(): number {
    return this.#parts.connection.epoch;
  }

  /** Bytes of whole sequenced frames received since the session began. */
  get received(): number {
    return this.#parts.acks.received;
  }

  /**
   * The other end is known to have joined it too. A listening end that answers a handshake cannot know
   * whether the answer arrives; the other end sends a PING as soon as it has it.
   */
  get isJoined(): boolean {
    const { slot, streams } = this.#parts;
    return this.role === "connecting" || this.number === 0 || slot.heard || streams.size > 0;
  }

  /** Bytes on the wire so far, both directions, replays included. */
  get bytes(): number {
    return this.#parts.slot.bytes;
  }

  /** As `bytes`, but as many as there would be without compression. */
  get carried(): number {
    const { raw, wire } = this.data;
    return this.bytes + raw - wire;
  }

  /**
   * Payload of all DATA frames so far, both directions, bytes: `raw` as the streams have it, `wire` as
   * it crosses, which is less where it is compressed.
   */
  get data(): { readonly raw: number; readonly wire: number } {
    const { queue, inbound } = this.#parts;
    return {
      raw: queue.data.raw + inbound.data.raw,
      wire: queue.data.wire + inbound.data.wire,
    };
  }

  /** Bytes sent and not acknowledged. */
  get inFlight(): number {
    return this.#parts.outbound.inFlight;
  }

  /** Bytes sent and acknowledged, plus bytes received: as long as this grows, there is progress. */
  get progress(): number {
    return this.#parts.outbound.acknowledged + this.#parts.acks.received;
  }

  /**
   * How long the session may go without progress before it ends, ms: the time until its connection
   * is found dead, plus the grace.
   */
  get patienceMs(): number {
    return this.graceMs + this.#parts.liveness.deadAfterMs;
  }

  /** Remaining grace, ms; all of it while the connection carries the session. */
  get graceLeftMs(): number {
    return this.#parts.grace.leftMs;
  }

  /** Shortest round trip seen on the connection, ms. */
  get rttMs(): number {
    return this.#parts.slot.rttMs;
  }

  /** The latest round trip on the connection, ms; `undefined` where none was measured. */
  get lastRttMs(): number | undefined {
    return this.#parts.slot.lastRttMs;
  }

  /** Streams that are open, the RPC's excepted. */
  get openStreams(): number {
    return this.#parts.streams.size;
  }

  /** Resolves at the end: `undefined` after a clean one, else why. Never rejects. */
  get ended(): Promise<SessionError | undefined> {
    return this.#parts.ending.ended;
  }

  /**
   * Calls `listener` whenever the connection is lost, and whenever a new one takes over.
   *
   * @returns a function that removes the listener.
   */
  onLink(listener: (change: LinkChange) => void): () => void {
    return this.#parts.connection.onChange(listener);
  }

  /** Limits all streams together, the RPC excepted, to `rate` bytes per second, from now on. */
  setBandwidth(rate: number): void {
    this.#parts.queue.setBandwidth(rate);
  }

  // Connections

  /**
   * Puts the session on a connection whose handshake is done; takes ownership of `pipe`. Closes it
   * instead when a newer connection has overtaken it.
   *
   * @param peerReceived bytes of ours that the other end has (RESUME, RESUMED); 0 in a new session.
   * @param epoch number of the connection; 0 in a new session.
   * @throws {ProtocolError} when `peerReceived` cannot be served; the session is over then.
   */
  attach(pipe: BytePipe, peerReceived: number, epoch: number): void {
    this.#parts.connection.attach(pipe, peerReceived, epoch);
  }

  /** Ends the connection in use; resolves when it delivers nothing more and `received` is final. */
  detach(cause: Error): Promise<void> {
    return this.#parts.connection.detach(cause);
  }

  /** {@inheritDoc Resumable.fence} */
  fence(epoch: number, peerReceived: number): Promise<number> {
    return this.#parts.connection.fence(epoch, peerReceived);
  }

  /** For the connecting end: the epoch of its next attempt. */
  nextEpoch(): number {
    return this.#parts.connection.nextEpoch();
  }

  // Streams

  /**
   * Opens a stream with the next id of this end. The caller asks the other end by RPC to accept it
   * (`openTunnel`) and sends nothing before the answer.
   *
   * @throws {SessionError} when the session is over or about to end.
   * @throws {RangeError} when as many are open as the other end allows.
   */
  open(): TunnelStream {
    this.#checkOpenable();
    return this.#parts.streams.open();
  }

  /**
   * Opens the stream that the other end named in its `openTunnel`.
   *
   * @throws {ProtocolError} when the id is not one of the other end's, or was used; ends the session.
   * @throws {SessionError} when the session is over or about to end.
   * @throws {RangeError} when {@link limits.MAX_STREAMS} are open.
   */
  accept(id: number): TunnelStream {
    this.#checkOpenable();
    try {
      return this.#parts.streams.accept(id);
    } catch (error) {
      if (error instanceof ProtocolError) this.abort(error.message, "protocol-error");
      throw error;
    }
  }

  #checkOpenable(): void {
    if (this.state === "ended" || this.#parts.queue.ending) {
      throw new SessionError("closed", "The session is ending, no stream can be opened");
    }
  }

  /** Forgets a stream of ours that the other end refused to open; it fails with `failure`. */
  abandon(stream: TunnelStream, failure: Error): void {
    this.#parts.streams.remove(stream);
    stream.fail(failure);
  }

  /** The other end has not got every RESET yet. */
  get hasResets(): boolean {
    return this.#parts.queue.hasResets;
  }

  /**
   * Resolves when the other end has got every RESET so far: it delivers nothing more of those streams.
   * Never, when the lane ends first.
   */
  resetsDelivered(): Promise<void> {
    return this.#parts.queue.resetsDelivered();
  }

  // The end

  /** A clean end is wanted or under way; no stream may be opened. */
  get ending(): boolean {
    return this.#parts.queue.ending;
  }

  /** Whether it may end cleanly is to be decided anew. */
  mayEndNow(): void {
    this.#parts.slot.wake();
  }

  /**
   * Ends the session cleanly: waits until the streams have ended, sends GOAWAY `done`, waits for the
   * other end's. Resolves when the connection is closed too. A session that ends with a reason keeps
   * the connection until the other end has it, {@link limits.LAST_WORD_MS} at most.
   *
   * @param deadlineMs after this the session is aborted.
   * @returns why it did not end cleanly, or `undefined`.
   */
  async close(deadlineMs: number = limits.CLOSE_MS): Promise<SessionError | undefined> {
    const cause = await this.#parts.ending.close(deadlineMs);
    const over = this.#parts.slot.current?.over;
    // A read of standard input cannot be cancelled: do not wait for it for ever.
    const waitMs = 2 * limits.LAST_WORD_MS;
    if (over) await withDeadline(this.#clock, waitMs, "the connection's end", over).catch(() => {});
    return cause;
  }

  /** For the connecting end: the other end cannot be reached any more. */
  giveUp(reason: string, cause: unknown): void {
    this.#parts.ending.lost(reason, cause);
  }

  /** Ends it and its connection now, without a word to the other end. */
  drop(cause: SessionError): void {
    this.#parts.ending.end(cause);
  }

  /** The other end broke the protocol in another lane of the session: ends this one as well. */
  faultedBeside(cause: SessionError): void {
    this.#parts.ending.faultedBeside(cause);
  }

  /** Ends the lane now; the peer gets the reason if it reads within a second. */
  abort(reason: string, code: GoawayCode): void {
    this.#parts.ending.abort(reason, code);
  }
}
