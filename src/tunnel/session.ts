import {
  type BytePipe,
  type Clock,
  type Logger,
  messageOf,
  type Moves,
  States,
  withDeadline,
} from "../io/mod.ts";
import { Acknowledger } from "./receive/acknowledger.ts";
import { ReadBufferPool } from "./connection/buffers.ts";
import { Ending } from "./ending.ts";
import { ConnectionError, ProtocolError, SessionError } from "./errors.ts";
import { FlightCap } from "./send/flight.ts";
import { Grace } from "./grace.ts";
import type { Resumable, SessionIdentity } from "./connection/handshake.ts";
import type { Hello } from "./wire/hello.ts";
import { Inbound } from "./receive/inbound.ts";
import * as limits from "./limits.ts";
import { Connection, type ConnectionHost, type Liveness } from "./connection/connection.ts";
import { ConnectionSlot } from "./connection/slot.ts";
import { Outbound } from "./send/outbound.ts";
import { ReplayBuffer } from "./send/replay.ts";
import { SendQueue, type SendQueueHost } from "./send/send_queue.ts";
import type { TunnelStream } from "./stream/stream.ts";
import { StreamTable } from "./stream/table.ts";
import type { GoawayCode } from "./wire/layout.ts";

/** `up`: a connection carries it. `down`: it waits for the next one. `ended`: for good. */
export type SessionState = "up" | "down" | "ended";

const MOVES: Moves<SessionState> = {
  up: ["down", "ended"],
  down: ["up", "ended"],
  ended: [],
};

/** What happened to the connection under a session. */
export interface LinkChange {
  readonly state: "up" | "down";
  /** With `down`: why. */
  readonly cause: Error | undefined;
  /** With `down`: what the connections so far have in common, and what to do about it. */
  readonly hint?: string | undefined;
}

export interface SessionOptions {
  readonly role: "connecting" | "listening";
  readonly identity: SessionIdentity;
  readonly peer: Hello;
  /** How long to wait for another connection, ms; the lower one of both ends' wishes counts. */
  readonly graceMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Bytes sent and not acknowledged, at most. */
  readonly inFlight?: number;
  /** The same until the connection was measured. */
  readonly firstInFlight?: number;
  readonly liveness?: Liveness;
}

/**
 * Many byte streams and one RPC stream over one connection at a time. When the connection is lost
 * the session waits for another and goes on where it was; everything sent and not acknowledged
 * goes out again. It keeps the connections; its parts do the rest.
 *
 * Owns its parts, its connection and its streams' fate; who opens a stream owns what is on its
 * other side.
 */
export class Session implements ConnectionHost, SendQueueHost, Resumable {
  readonly role: "connecting" | "listening";
  readonly identity: SessionIdentity;
  readonly peer: Hello;
  readonly graceMs: number;
  /** Stream 0: carries the RPC. */
  readonly rpc: TunnelStream;

  readonly #clock: Clock;
  readonly #liveness: Liveness;
  readonly #states: States<SessionState>;
  readonly #slot = new ConnectionSlot();
  readonly #acks: Acknowledger;
  readonly #queue: SendQueue;
  readonly #streams: StreamTable;
  readonly #outbound: Outbound;
  readonly #inbound: Inbound;
  readonly #ending: Ending;
  readonly #grace: Grace;

  #epoch = 0;
  #connections = 0;
  #linkListeners = new Set<(change: LinkChange) => void>();

  constructor(options: SessionOptions) {
    const { role, peer, clock } = options;
    this.role = role;
    this.identity = options.identity;
    this.peer = peer;
    this.graceMs = Math.min(options.graceMs, peer.graceMs);
    this.#clock = clock;
    this.#states = new States<SessionState>("session", "down", MOVES, options.log);
    this.#liveness = options.liveness ??
      { pingAfterMs: limits.PING_AFTER_MS, deadAfterMs: limits.DEAD_AFTER_MS };

    const slot = this.#slot;
    const flight = new FlightCap(options.inFlight ?? limits.IN_FLIGHT, options.firstInFlight);
    const sending = { clock, slot, flight, replay: new ReplayBuffer(this.graceMs > 0) };
    const readBuffers = new ReadBufferPool();
    const acks = this.#acks = new Acknowledger(clock, slot);
    const grace = this.#grace = new Grace({
      clock,
      ms: this.graceMs,
      inFlight: () => this.inFlight,
      received: () => acks.received,
      onOver: (reason, cause) => this.#ending.lost(reason, cause),
    });
    const queue = this.#queue = new SendQueue({
      ...sending,
      host: this,
      peerMaxData: peer.maxData,
    });
    const outbound = this.#outbound = new Outbound({
      ...{ ...sending, queue, acks },
      onProgress: grace.renew,
    });
    const streams = this.#streams = new StreamTable({
      role,
      peer,
      clock,
      slot,
      output: queue,
      readBuffers,
    });
    const onOver = () => this.#over();
    const ending = this.#ending = new Ending({ clock, slot, queue, acks, streams, onOver });
    this.#inbound = new Inbound({ host: ending, streams, outbound, acks, readBuffers });
    this.rpc = this.#streams.rpc;
  }

  get state(): SessionState {
    return this.#states.current;
  }

  /** How many connections it took so far; 1 when none was lost. */
  get connections(): number {
    return this.#connections;
  }

  /** Epoch of the connection in use; the next one must name a higher one. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Bytes of whole sequenced frames received since the session began. */
  get received(): number {
    return this.#acks.received;
  }

  /** Bytes on the wire so far, both directions, replays included. */
  get bytes(): number {
    return this.#slot.bytes;
  }

  /** Bytes sent and not acknowledged. */
  get inFlight(): number {
    return this.#outbound.inFlight;
  }

  /** Bytes sent and acknowledged, and received: as long as this grows, there is progress. */
  get progress(): number {
    return this.#outbound.acknowledged + this.#acks.received;
  }

  /**
   * How long it may go without progress and not end, ms: until its connection is found dead, and the
   * grace after that.
   */
  get patienceMs(): number {
    return this.graceMs + this.#liveness.deadAfterMs;
  }

  /** What is left of the grace, ms; all of it while the connection carries the session. */
  get graceLeftMs(): number {
    return this.#grace.leftMs;
  }

  /** Shortest round trip seen on the connection, ms. */
  get rttMs(): number {
    return this.#slot.rttMs;
  }

  /** Streams that are open, the RPC's excepted. */
  get openStreams(): number {
    return this.#streams.size;
  }

  /** Resolves at the end: `undefined` after a clean one, else why. Never rejects. */
  get ended(): Promise<SessionError | undefined> {
    return this.#ending.ended;
  }

  /** Calls `listener` whenever the connection goes or comes back. Returns how to stop that. */
  onLink(listener: (change: LinkChange) => void): () => void {
    this.#linkListeners.add(listener);
    return () => this.#linkListeners.delete(listener);
  }

  /** Holds all streams together, the RPC excepted, to `rate` bytes per second, from now on. */
  setBandwidth(rate: number): void {
    this.#queue.setBandwidth(rate);
  }

  // Connections

  /**
   * Puts the session on a connection whose handshake is done; takes ownership of `pipe`.
   * `peerReceived` is what the other end said it has of ours, `epoch` the number of the connection;
   * both 0 for a new session. A connection that a newer one has overtaken is closed.
   *
   * @throws {ProtocolError} when that can't be served; the session is over then.
   */
  attach(pipe: BytePipe, peerReceived: number, epoch: number): void {
    if (this.state !== "down" || epoch !== this.#epoch) {
      pipe.close();
      return;
    }
    try {
      this.#outbound.restart(peerReceived);
    } catch (error) {
      pipe.close();
      this.#ending.end(new SessionError("protocol-error", messageOf(error)));
      throw error;
    }
    // Credit is absolute, acknowledgements are cumulative: what was owed is owed once more.
    this.#acks.restart();
    this.#grace.attached();
    this.#states.to("up");
    this.#connections++;
    const connection = new Connection(pipe, this, this.#inbound, this.#clock, this.#liveness);
    this.#slot.put(connection);
    // Not before: what writes it has begun by then, and must find the link to tell it the time.
    this.pingWanted();
    connection.over.then((cause) => this.#connectionOver(connection, cause));
    if (this.#connections > 1) this.#reportLink({ state: "up", cause: undefined });
  }

  /** Ends the connection in use, so that another can take over; resolves when its numbers stand. */
  async detach(cause: Error): Promise<void> {
    const connection = this.#slot.current;
    if (!connection) return;
    connection.close(cause);
    await connection.over;
  }

  /** {@inheritDoc Resumable.fence} */
  async fence(epoch: number, peerReceived: number): Promise<number> {
    if (epoch <= this.#epoch) {
      throw new ProtocolError(
        `Connection ${epoch} of this session comes after connection ${this.#epoch}`,
      );
    }
    if (this.state === "ended") throw new ProtocolError("The session is over");
    this.#epoch = epoch;
    await this.detach(new ConnectionError("A newer connection took over"));
    try {
      this.#outbound.checkServable(peerReceived);
    } catch (error) {
      this.#ending.end(new SessionError("protocol-error", messageOf(error)));
      throw error;
    }
    return this.#acks.received;
  }

  /** For the connecting end: the epoch of its next attempt. */
  nextEpoch(): number {
    return ++this.#epoch;
  }

  #connectionOver(connection: Connection, cause: Error): void {
    if (this.#slot.current !== connection) return;
    this.#slot.drop();
    this.#outbound.connectionLost();
    if (this.state === "ended") return;
    this.#inbound.connectionLost();
    if (cause instanceof ProtocolError) {
      this.#ending.end(new SessionError("protocol-error", cause.message, { cause }));
    } else if (this.#ending.settled || this.graceMs === 0) {
      this.#ending.lost(`The connection was lost: ${cause.message}`, cause);
    } else {
      this.#states.to("down");
      this.#grace.lost(connection, cause, this.#ending.bothDone ? limits.LINGER_MS : this.graceMs);
      this.#reportLink({ state: "down", cause, hint: this.#grace.hint });
    }
  }

  #reportLink(change: LinkChange): void {
    for (const listener of this.#linkListeners) listener(change);
  }

  // Streams

  /**
   * Makes a stream of ours; the peer is told by RPC, and nothing may be sent before it agreed.
   *
   * @throws {SessionError} when the session is over or about to end.
   * @throws {RangeError} when as many are open as the peer allows.
   */
  open(): TunnelStream {
    this.#checkOpenable();
    return this.#streams.open();
  }

  /**
   * Makes the stream that the peer named when it asked for one.
   *
   * @throws {ProtocolError} when the id is not the peer's to give, or was used; ends the session.
   * @throws {RangeError} when too many are open.
   */
  accept(id: number): TunnelStream {
    this.#checkOpenable();
    try {
      return this.#streams.accept(id);
    } catch (error) {
      if (error instanceof ProtocolError) this.abort(error.message, "protocol-error");
      throw error;
    }
  }

  #checkOpenable(): void {
    if (this.state === "ended" || this.#queue.ending) {
      throw new SessionError("closed", "The session is ending, no stream can be opened");
    }
  }

  /** Forgets a stream of ours that the peer refused to open. */
  abandon(stream: TunnelStream, failure: Error): void {
    this.#streams.remove(stream);
    stream.fail(failure);
  }

  /** How many bytes beyond what was consumed the peer may be allowed on this stream, at most. */
  maxWindowFor(stream: TunnelStream): number {
    return this.#streams.maxWindowFor(stream);
  }

  // ConnectionHost

  nextOutput(): Uint8Array | undefined {
    const out = this.#outbound.next();
    if (!out && this.#ending.settled) this.#ending.end(undefined);
    return out;
  }

  pingWanted(): void {
    this.#outbound.owePing();
  }

  faulted(error: ProtocolError): void {
    this.#ending.faulted(error);
  }

  heardLate(): void {
    this.#grace.heardLate();
  }

  // The end

  /**
   * Ends the session cleanly: waits until the streams have ended, says so, waits for the other end
   * to say the same. Resolves when the connection is closed too; one whose session was ended with a
   * reason stays until that was heard, a second at most.
   *
   * @returns why it did not end cleanly, or `undefined`.
   */
  async close(deadlineMs: number = limits.CLOSE_MS): Promise<SessionError | undefined> {
    const cause = await this.#ending.close(deadlineMs);
    const over = this.#slot.current?.over;
    // Standard input has no way to end a read that is under way.
    const waitMs = 2 * limits.LAST_WORD_MS;
    if (over) await withDeadline(this.#clock, waitMs, "the connection's end", over).catch(() => {});
    return cause;
  }

  /** For the connecting end: there is no way back to the other end. */
  giveUp(reason: string, cause: unknown): void {
    this.#ending.lost(reason, cause);
  }

  /** Ends the session now and tells the other end why, if it can be told within a second. */
  abort(reason: string, code: GoawayCode): void {
    this.#ending.abort(reason, code);
  }

  #over(): void {
    this.#states.to("ended");
    this.#grace.stop();
    this.#linkListeners.clear();
  }
}
