import type { Clock } from "../../io/mod.ts";
import type { ReadBufferPool } from "../connection/buffers.ts";
import { ProtocolError } from "../errors.ts";
import type { Hello } from "../wire/hello.ts";
import * as limits from "../limits.ts";
import type { ConnectionSlot } from "../connection/slot.ts";
import { type StreamOutput, type StreamOwner, TunnelStream } from "./stream.ts";

/** Where the table's streams send. */
export interface TableOutput extends StreamOutput {
  /** Resets that wait to be sent; until then each counts as a stream. */
  readonly resetsOwed: number;
  /** The stream is over: its frames that wait for their turn are dropped. */
  forget(stream: TunnelStream): void;
}

/** Streams that are open, by the end that opened them. */
export interface StreamCounts {
  opened: number;
  accepted: number;
}

export interface StreamTableOptions {
  /** Number of the lane that the streams are on. */
  readonly lane: number;
  readonly role: "connecting" | "listening";
  readonly peer: Hello;
  readonly clock: Clock;
  readonly slot: ConnectionSlot;
  readonly output: TableOutput;
  readonly readBuffers: ReadBufferPool;
  /** Of all lanes of the session: the limits hold for them together. */
  readonly counts: StreamCounts;
  /** Sum of all windows, bytes; see {@link limits.ALL_WINDOWS}. */
  readonly allWindows: number;
}

/**
 * The streams of a session by id: opens them, finds them, forgets them when they are over, and
 * divides the windows among them. The connecting end's streams have odd ids, the listening end's
 * even ones; an id is used once. Owned by the session.
 */
export class StreamTable implements StreamOwner {
  /** Stream 0: there from the beginning, and not counted. */
  readonly rpc: TunnelStream;
  /** Number of the lane that the streams are on. */
  readonly lane: number;

  readonly #allWindows: number;
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
  readonly #counts: StreamCounts;
  /** Streams that the peer reset before its request to open them was handled. */
  readonly #resetEarly = new Set<number>();

  constructor(options: StreamTableOptions) {
    this.lane = options.lane;
    this.#counts = options.counts;
    this.#allWindows = options.allWindows;
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
   * Opens a stream with the next id of this end.
   *
   * @throws {RangeError} when as many are open as the peer allows.
   */
  open(): TunnelStream {
    if (this.#counts.opened >= this.#peer.maxStreams) {
      throw new RangeError(`${this.#counts.opened} streams are open; the other end allows no more`);
    }
    this.#lastLocal += 2;
    this.#counts.opened++;
    return this.#register(this.#lastLocal);
  }

  /**
   * Opens the stream that the peer named.
   *
   * @throws {ProtocolError} when the id is not one of the peer's, or was used.
   * @throws {RangeError} when too many are open, or the peer has already reset this one.
   */
  accept(id: number): TunnelStream {
    const parity = 1 - this.#localParity;
    if (!Number.isSafeInteger(id) || id <= this.#lastRemote || id % 2 !== parity || id >= 2 ** 32) {
      throw new ProtocolError(
        `Got stream id ${id}, expected an ${parity ? "odd" : "even"} one above ${this.#lastRemote}`,
      );
    }
    this.#lastRemote = id;
    if (this.#counts.accepted + this.#output.resetsOwed >= limits.MAX_STREAMS) {
      throw new RangeError(`${limits.MAX_STREAMS} streams are open; no more are allowed`);
    }
    if (this.#resetEarly.delete(id)) throw new RangeError(`Stream ${id} has already been reset`);
    this.#counts.accepted++;
    return this.#register(id);
  }

  /**
   * Finds a stream by its id; `undefined` when it is over.
   *
   * @throws {ProtocolError} when it was never opened.
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
   * Notes that the peer resets a stream before its request to open it was handled.
   *
   * @returns false when the stream was requested before, or too many are noted.
   */
  noteEarlyReset(id: number): boolean {
    if (this.#isLocal(id) || id <= this.#lastRemote) return false;
    if (this.#resetEarly.size >= limits.MAX_STREAMS) return false;
    this.#resetEarly.add(id);
    return true;
  }

  /** Forgets a stream that is over; may be called again. */
  remove(stream: TunnelStream): void {
    if (!this.#streams.delete(stream.id)) return;
    if (this.#isLocal(stream.id)) this.#counts.opened--;
    else this.#counts.accepted--;
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

  /** Its equal share of all windows, or the rest where older streams have more than theirs. */
  maxWindowFor(stream: TunnelStream): number {
    if (stream === this.rpc) return limits.RPC_WINDOW;
    let others = 0;
    for (const other of this.#streams.values()) if (other !== stream) others += other.creditOut;
    const share = Math.floor(this.#allWindows / Math.max(1, this.#streams.size));
    const most = Math.min(limits.STREAM_WINDOW, share, this.#allWindows - others);
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
