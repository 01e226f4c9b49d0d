import type { Clock } from "../../io/mod.ts";
import type { ReadBufferPool } from "../connection/buffers.ts";
import { ProtocolError } from "../errors.ts";
import type { Hello } from "../wire/hello.ts";
import * as limits from "../limits.ts";
import type { ConnectionSlot } from "../connection/slot.ts";
import { type StreamOutput, type StreamOwner, TunnelStream } from "./stream.ts";

/** Where the table's streams send, and what it asks of that beside. */
export interface TableOutput extends StreamOutput {
  /** Resets that wait to be sent; each counts as a stream until it is. */
  readonly resetsOwed: number;
  /** The stream is over: whatever waits for its turn to send is dropped. */
  forget(stream: TunnelStream): void;
}

export interface StreamTableOptions {
  readonly role: "connecting" | "listening";
  readonly peer: Hello;
  readonly clock: Clock;
  readonly slot: ConnectionSlot;
  readonly output: TableOutput;
  readonly readBuffers: ReadBufferPool;
}

/**
 * The streams of a session by their ids: makes them, finds them, forgets them when they are over,
 * and shares the windows out among them. The connecting end's streams have odd ids, the listening
 * end's even ones; an id is given once. Owned by the session.
 */
export class StreamTable implements StreamOwner {
  /** Stream 0: there from the beginning, and not counted. */
  readonly rpc: TunnelStream;

  readonly #peer: Hello;
  readonly #clock: Clock;
  readonly #slot: ConnectionSlot;
  readonly #output: TableOutput;
  readonly #readBuffers: ReadBufferPool;
  readonly #streams = new Map<number, TunnelStream>();
  /** `id % 2` of the streams that this end opens. */
  readonly #localParity: number;
  #lastLocal: number;
  #lastRemote = 0;
  #localOpen = 0;
  #remoteOpen = 0;
  /** Streams of the peer that it gave up before its request to open them was looked at. */
  readonly #resetEarly = new Set<number>();

  constructor(options: StreamTableOptions) {
    this.#peer = options.peer;
    this.#clock = options.clock;
    this.#slot = options.slot;
    this.#output = options.output;
    this.#readBuffers = options.readBuffers;
    this.#localParity = options.role === "connecting" ? 1 : 0;
    this.#lastLocal = options.role === "connecting" ? -1 : 0;
    const { rpcWindow } = options.peer;
    this.rpc = new TunnelStream(0, this, options.output, rpcWindow, limits.RPC_WINDOW);
  }

  /** Streams that are open, the RPC's excepted. */
  get size(): number {
    return this.#streams.size;
  }

  /**
   * Makes a stream of ours, with the next id.
   *
   * @throws {RangeError} when as many are open as the peer allows.
   */
  open(): TunnelStream {
    if (this.#localOpen >= this.#peer.maxStreams) {
      throw new RangeError(`${this.#localOpen} streams are open, the other end allows no more`);
    }
    this.#lastLocal += 2;
    this.#localOpen++;
    return this.#register(this.#lastLocal);
  }

  /**
   * Makes the stream that the peer named.
   *
   * @throws {ProtocolError} when the id is not the peer's to give, or was used.
   * @throws {RangeError} when too many are open, or the peer has given this one up already.
   */
  accept(id: number): TunnelStream {
    const parity = 1 - this.#localParity;
    if (!Number.isSafeInteger(id) || id <= this.#lastRemote || id % 2 !== parity || id >= 2 ** 32) {
      throw new ProtocolError(
        `Got stream id ${id}, expected an ${parity ? "odd" : "even"} one above ${this.#lastRemote}`,
      );
    }
    this.#lastRemote = id;
    if (this.#remoteOpen + this.#output.resetsOwed >= limits.MAX_STREAMS) {
      throw new RangeError(`${limits.MAX_STREAMS} streams are open, no more are allowed`);
    }
    if (this.#resetEarly.delete(id)) throw new RangeError(`Stream ${id} was given up already`);
    this.#remoteOpen++;
    return this.#register(id);
  }

  /**
   * The stream of that id; `undefined` when it is over.
   *
   * @throws {ProtocolError} when there never was one.
   */
  lookup(id: number): TunnelStream | undefined {
    if (id === 0) return this.rpc;
    const stream = this.#streams.get(id);
    if (stream) return stream;
    const last = this.#isLocal(id) ? this.#lastLocal : this.#lastRemote;
    if (id > last) throw new ProtocolError(`Got a frame for stream ${id}, which was never opened`);
    return undefined;
  }

  /**
   * Notes that the peer gives up a stream before its request to open it was looked at.
   *
   * @returns false when it is not such a stream, or too many are noted already.
   */
  noteEarlyReset(id: number): boolean {
    if (this.#isLocal(id) || id <= this.#lastRemote) return false;
    if (this.#resetEarly.size >= limits.MAX_STREAMS) return false;
    this.#resetEarly.add(id);
    return true;
  }

  /** Forgets a stream that is over; does nothing when that has happened already. */
  remove(stream: TunnelStream): void {
    if (!this.#streams.delete(stream.id)) return;
    if (this.#isLocal(stream.id)) this.#localOpen--;
    else this.#remoteOpen--;
    this.#output.forget(stream);
  }

  /** The session is over, and with it all its streams, the RPC's included. */
  failAll(failure: Error): void {
    for (const stream of [this.rpc, ...this.#streams.values()]) stream.fail(failure);
    this.#streams.clear();
  }

  // StreamOwner

  streamDone(stream: TunnelStream): void {
    this.remove(stream);
  }

  /** Its share of all windows, of which the others may hold more than theirs from before. */
  maxWindowFor(stream: TunnelStream): number {
    if (stream === this.rpc) return limits.RPC_WINDOW;
    let others = 0;
    for (const other of this.#streams.values()) if (other !== stream) others += other.creditOut;
    const share = Math.floor(limits.ALL_WINDOWS / Math.max(1, this.#streams.size));
    const most = Math.min(limits.STREAM_WINDOW, share, limits.ALL_WINDOWS - others);
    return Math.max(limits.MIN_WINDOW, most);
  }

  get rttMs(): number {
    return this.#slot.rttMs;
  }

  now(): number {
    return this.#clock.now();
  }

  get mayPin(): boolean {
    return this.#readBuffers.mayPin;
  }

  #isLocal(id: number): boolean {
    return id % 2 === this.#localParity;
  }

  #register(id: number): TunnelStream {
    const { firstWindow } = this.#peer;
    const stream = new TunnelStream(id, this, this.#output, firstWindow, limits.FIRST_WINDOW);
    this.#streams.set(id, stream);
    return stream;
  }
}
