import {
  type BytePipe,
  type Clock,
  type Logger,
  messageOf,
  type Moves,
  printable,
  States,
} from "../io/mod.ts";
import { type FrameBuffer, FrameBufferPool, type ReadBuffer, ReadBufferPool } from "./buffers.ts";
import {
  codeName,
  ConnectionError,
  ProtocolError,
  SessionError,
  StreamResetError,
} from "./errors.ts";
import { FlightCap } from "./flight.ts";
import { codeFrame, type FrameHeader, frameOf, getU64, resetFrame, u64Frame } from "./frame.ts";
import type { Resumable, SessionIdentity } from "./handshake.ts";
import type { Hello } from "./hello.ts";
import * as limits from "./limits.ts";
import { Link, type LinkHost, type Liveness } from "./link.ts";
import { Pacer } from "./pacer.ts";
import { ReplayBuffer } from "./replay.ts";
import { Scheduler } from "./scheduler.ts";
import { type QueuedFrame, type StreamHost, TunnelStream } from "./stream.ts";
import * as wire from "./wire.ts";

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

/** What a PING holds that measures the round trip, and one that only wants an answer soon. */
const MEASURING = new Uint8Array(8);
const HURRYING = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1);

/**
 * Many byte streams and one RPC stream over one connection at a time. When the connection is lost
 * the session waits for another and goes on where it was; everything sent and not acknowledged
 * goes out again.
 *
 * Owns its connection and its streams' fate; who opens a stream owns what is on its other side.
 */
export class Session implements StreamHost, LinkHost, Resumable {
  readonly role: "connecting" | "listening";
  readonly identity: SessionIdentity;
  readonly peer: Hello;
  readonly graceMs: number;
  /** Stream 0: carries the RPC. */
  readonly rpc: TunnelStream;
  readonly readBuffers: ReadBufferPool = new ReadBufferPool();

  readonly #clock: Clock;
  readonly #flight: FlightCap;
  readonly #liveness: Liveness;
  readonly #frameBuffers = new FrameBufferPool();
  readonly #states: States<SessionState>;
  #link: Link | undefined;
  #epoch = 0;
  #linkListeners = new Set<(change: LinkChange) => void>();
  #stopGrace: () => void = () => {};
  readonly #ended = Promise.withResolvers<SessionError | undefined>();
  #connections = 0;
  #bytesBefore = 0;

  readonly #streams = new Map<number, TunnelStream>();
  #lastLocal: number;
  #lastRemote = 0;
  #localOpen = 0;
  #remoteOpen = 0;

  readonly #replay = new ReplayBuffer();
  readonly #scheduler = new Scheduler<TunnelStream>(limits.MAX_DATA + wire.HEADER_LENGTH);
  readonly #pacer = new Pacer();
  #stopPace: (() => void) | undefined;
  readonly #gather = new Uint8Array(limits.GATHER_BUFFER);
  #held: Uint8Array | undefined;
  #rpcTurn = true;
  readonly #creditOwed = new Set<TunnelStream>();
  readonly #resetOwed = new Map<number, Uint8Array>();
  /** Streams of the peer that it gave up before its request to open them was looked at. */
  readonly #resetEarly = new Set<number>();
  #pongOwed: Uint8Array | undefined;
  #pingOwed = false;

  #received = 0;
  #ackSent = 0;
  #ackDue = false;
  #ackEvery = limits.ACK_EVERY;
  #stopAck: (() => void) | undefined;
  #readBuffer: ReadBuffer | undefined;
  #target: TunnelStream | undefined;
  /** A DATA frame that the lost connection left half delivered: its header, and how much. */
  #partial: { header: FrameHeader; delivered: number } | undefined;
  #current: FrameHeader | undefined;
  #delivered = 0;
  #skip = 0;

  #goaway: "none" | "wanted" | "sent" = "none";
  #goawayEnd = 0;
  #peerGoaway = false;
  #fatal: Uint8Array | undefined;

  constructor(options: SessionOptions) {
    this.role = options.role;
    this.identity = options.identity;
    this.peer = options.peer;
    this.graceMs = Math.min(options.graceMs, options.peer.graceMs);
    this.#clock = options.clock;
    this.#states = new States<SessionState>("session", "down", MOVES, options.log);
    this.#flight = new FlightCap(options.inFlight ?? limits.IN_FLIGHT, options.firstInFlight);
    this.#liveness = options.liveness ??
      { pingAfterMs: limits.PING_AFTER_MS, deadAfterMs: limits.DEAD_AFTER_MS };
    this.#lastLocal = options.role === "connecting" ? -1 : 0;
    this.rpc = new TunnelStream(0, this, options.peer.rpcWindow, limits.RPC_WINDOW);
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
    return this.#received;
  }

  /** Bytes on the wire so far, both directions, replays included. */
  get bytes(): number {
    return this.#bytesBefore + (this.#link?.bytesRead ?? 0) + (this.#link?.bytesWritten ?? 0);
  }

  /** Bytes sent and not acknowledged. */
  get inFlight(): number {
    return this.#replay.inFlight;
  }

  /** Resolves at the end: `undefined` after a clean one, else why. Never rejects. */
  get ended(): Promise<SessionError | undefined> {
    return this.#ended.promise;
  }

  /** Calls `listener` whenever the connection goes or comes back. Returns how to stop that. */
  onLink(listener: (change: LinkChange) => void): () => void {
    this.#linkListeners.add(listener);
    return () => this.#linkListeners.delete(listener);
  }

  /** Holds all streams together, the RPC excepted, to `rate` bytes per second, from now on. */
  setBandwidth(rate: number): void {
    this.#pacer.setRate(rate, this.#clock.now());
    // What waits was reckoned with the rate of before.
    this.#stopPace?.();
    this.#stopPace = undefined;
    this.wake();
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
      this.#replay.rewind(peerReceived);
    } catch (error) {
      pipe.close();
      this.#end(new SessionError("protocol-error", messageOf(error)));
      throw error;
    }
    this.#held = undefined;
    this.#flight.restart();
    // Credit is absolute, acknowledgements are cumulative: what was owed is owed once more.
    this.#ackDue = this.#received > 0;
    this.#stopGrace();
    this.#states.to("up");
    this.#connections++;
    const link = new Link(pipe, this, this.#clock, this.#liveness);
    this.#link = link;
    // Not before: what writes it has begun by then, and must find the link to tell it the time.
    this.pingWanted();
    link.over.then((cause) => this.#linkOver(link, cause));
    if (this.#connections > 1) this.#tellLink({ state: "up", cause: undefined });
  }

  /** Ends the connection in use, so that another can take over; resolves when its numbers stand. */
  async detach(cause: Error): Promise<void> {
    const link = this.#link;
    if (!link) return;
    link.close(cause);
    await link.over;
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
    if (peerReceived < this.#replay.acked || peerReceived > this.#replay.end) {
      const error = new ProtocolError(
        `The other end has ${peerReceived} bytes, but ${this.#replay.acked} to ` +
          `${this.#replay.end} can be served`,
      );
      this.#end(new SessionError("protocol-error", error.message));
      throw error;
    }
    return this.#received;
  }

  /** For the connecting end: the epoch of its next attempt. */
  nextEpoch(): number {
    return ++this.#epoch;
  }

  #linkOver(link: Link, cause: Error): void {
    if (this.#link !== link) return;
    this.#bytesBefore += link.bytesRead + link.bytesWritten;
    this.#link = undefined;
    this.#held = undefined;
    if (this.state === "ended") return;
    if (this.#current !== undefined) {
      const { header, delivered } = this.#current === this.#partial?.header
        ? this.#partial
        : { header: this.#current, delivered: 0 };
      this.#partial = { header, delivered: Math.max(delivered, this.#delivered) };
      this.#current = undefined;
    }
    if (cause instanceof ProtocolError) {
      this.#end(new SessionError("protocol-error", cause.message, { cause }));
    } else if (this.#bothSaidDone && this.#replay.acked >= this.#goawayEnd) {
      this.#end(undefined);
    } else if (this.graceMs === 0) {
      this.#end(
        this.#bothSaidDone
          ? undefined
          : new SessionError("lost", `The connection was lost: ${cause.message}`, { cause }),
      );
    } else {
      this.#waitForLink(cause);
      this.#tellLink({ state: "down", cause });
    }
  }

  /**
   * Both ends have said that they are done: each has all that the other sent. Only the other end's
   * knowledge of that may still be on its way.
   */
  get #bothSaidDone(): boolean {
    return this.#peerGoaway && this.#goaway === "sent";
  }

  #waitForLink(cause: Error): void {
    this.#states.to("down");
    const done = this.#bothSaidDone;
    const waitMs = done ? Math.min(this.graceMs, limits.LINGER_MS) : this.graceMs;
    this.#stopGrace = this.#clock.after(waitMs, () => {
      if (done) return this.#end(undefined);
      const reason = `The connection was lost (${cause.message}) and did not come back ` +
        `within ${waitMs / 1000} s`;
      this.#end(new SessionError("lost", reason, { cause }));
    });
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
    if (this.#localOpen >= this.peer.maxStreams) {
      throw new RangeError(`${this.#localOpen} streams are open, the other end allows no more`);
    }
    this.#lastLocal += 2;
    this.#localOpen++;
    return this.#register(this.#lastLocal);
  }

  /**
   * Makes the stream that the peer named when it asked for one.
   *
   * @throws {ProtocolError} when the id is not the peer's to give, or was used; ends the session.
   * @throws {RangeError} when too many are open.
   */
  accept(id: number): TunnelStream {
    this.#checkOpenable();
    const parity = this.role === "connecting" ? 0 : 1;
    if (!Number.isSafeInteger(id) || id <= this.#lastRemote || id % 2 !== parity || id >= 2 ** 32) {
      const error = new ProtocolError(
        `Got stream id ${id}, expected an ${parity ? "odd" : "even"} one above ${this.#lastRemote}`,
      );
      this.abort(error.message, "protocol-error");
      throw error;
    }
    this.#lastRemote = id;
    if (this.#remoteOpen + this.#resetOwed.size >= limits.MAX_STREAMS) {
      throw new RangeError(`${limits.MAX_STREAMS} streams are open, no more are allowed`);
    }
    if (this.#resetEarly.delete(id)) throw new RangeError(`Stream ${id} was given up already`);
    this.#remoteOpen++;
    return this.#register(id);
  }

  #checkOpenable(): void {
    if (this.state === "ended" || this.#goaway !== "none") {
      throw new SessionError("closed", "The session is ending, no stream can be opened");
    }
  }

  #register(id: number): TunnelStream {
    const stream = new TunnelStream(id, this, this.peer.firstWindow, limits.FIRST_WINDOW);
    this.#streams.set(id, stream);
    return stream;
  }

  /** The stream of that id; `undefined` when it is over. */
  #lookup(id: number): TunnelStream | undefined {
    if (id === 0) return this.rpc;
    const stream = this.#streams.get(id);
    if (stream) return stream;
    const ours = id % 2 === (this.role === "connecting" ? 1 : 0);
    const last = ours ? this.#lastLocal : this.#lastRemote;
    if (id > last) throw new ProtocolError(`Got a frame for stream ${id}, which was never opened`);
    return undefined;
  }

  /** Forgets a stream of ours that the peer refused to open. */
  abandon(stream: TunnelStream, failure: Error): void {
    this.#remove(stream);
    stream.fail(failure);
  }

  #remove(stream: TunnelStream): void {
    if (!this.#streams.delete(stream.id)) return;
    const ours = stream.id % 2 === (this.role === "connecting" ? 1 : 0);
    if (ours) this.#localOpen--;
    else this.#remoteOpen--;
    this.#scheduler.remove(stream);
    this.#creditOwed.delete(stream);
    if (this.#goaway === "wanted") this.wake();
  }

  // StreamHost

  get maxData(): number {
    return Math.min(limits.MAX_DATA, this.peer.maxData, this.#flight.frameBytes);
  }

  get mayPin(): boolean {
    return this.readBuffers.mayPin;
  }

  readyToSend(stream: TunnelStream): void {
    if (stream !== this.rpc) this.#scheduler.ready(stream);
    this.wake();
  }

  owesCredit(stream: TunnelStream): void {
    if (this.#creditOwed.has(stream)) return;
    this.#creditOwed.add(stream);
    this.wake();
  }

  owesReset(
    stream: TunnelStream,
    code: wire.ResetCode,
    finalOffset: number,
    reason: string,
  ): void {
    this.#remove(stream);
    this.#resetOwed.set(
      stream.id,
      resetFrame(stream.id, wire.RESET_CODES[code], finalOffset, reason),
    );
    this.wake();
  }

  streamDone(stream: TunnelStream): void {
    this.#remove(stream);
  }

  get rttMs(): number {
    return this.#link?.rttMs ?? limits.FIRST_RTT_MS;
  }

  now(): number {
    return this.#clock.now();
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

  takeFrameBuffer(size: "small" | "large"): FrameBuffer {
    return this.#frameBuffers.take(size);
  }

  putFrameBuffer(buffer: FrameBuffer): void {
    this.#frameBuffers.put(buffer);
  }

  // Output

  /** There may be something to write. */
  wake(): void {
    this.#link?.wake();
  }

  pingWanted(): void {
    this.#pingOwed = true;
    this.wake();
  }

  faulted(error: ProtocolError): void {
    this.#abort(
      new SessionError("protocol-error", `The other end broke the protocol: ${error.message}`, {
        cause: error,
      }),
      error.goaway,
      error.message,
    );
  }

  nextOutput(): Uint8Array | undefined {
    if (this.#held) {
      const held = this.#held;
      this.#held = undefined;
      return held;
    }
    const out = this.#gather;
    let used = 0;
    const add = (frame: Uint8Array) => {
      out.set(frame, used);
      used += frame.length;
    };
    if (this.#pongOwed) {
      add(frameOf(wire.PONG, 0, this.#pongOwed));
      this.#pongOwed = undefined;
    }
    const measures = this.#pingOwed;
    if (measures) {
      add(frameOf(wire.PING, 0, MEASURING));
      this.#pingOwed = false;
      this.#link?.pingSent();
    }
    const room = out.length - 2 * (wire.HEADER_LENGTH + 8);
    let frame: Uint8Array | undefined;
    while ((frame = this.#nextSequenced()) !== undefined) {
      if (frame.length <= limits.GATHER_FRAME && used + frame.length <= room) {
        add(frame);
        continue;
      }
      if (used === 0 && !this.#ackDue) return frame;
      this.#held = frame;
      break;
    }
    if (this.#ackDue || (used > 0 && this.#received > this.#ackSent)) {
      add(u64Frame(wire.ACK, 0, this.#received));
      this.#ackSent = this.#received;
      this.#ackDue = false;
    }
    if (used > 0) {
      // Its answer carries the acknowledgement that the next small write would wait for.
      if (this.#link?.delaysSmallWrites && !measures) add(frameOf(wire.PING, 0, HURRYING));
      return out.subarray(0, used);
    }
    this.#checkCleanEnd();
    return undefined;
  }

  /** The next frame in the session's order: what a lost connection left first, then new ones. */
  #nextSequenced(): Uint8Array | undefined {
    if (!this.#replay.hasNext) {
      const made = this.#newFrame();
      if (!made) return undefined;
      this.#replay.push(made.frame, made.release);
    }
    return this.#replay.takeNext();
  }

  #newFrame(): QueuedFrame | undefined {
    if (this.#fatal) {
      const frame = this.#fatal;
      this.#fatal = undefined;
      return { frame, release: undefined };
    }
    if (this.#goaway === "sent") return undefined;
    const control = this.#newControl();
    if (control) return { frame: control, release: undefined };
    // RPC goes first, but one frame at a time, so that bulk is never shut out by it.
    const rpcFirst = this.#rpcTurn;
    this.#rpcTurn = !rpcFirst;
    const made = rpcFirst
      ? this.rpc.takeFrame() ?? this.#newBulk()
      : this.#newBulk() ?? this.rpc.takeFrame();
    if (made) return made;
    if (this.#goaway === "wanted" && this.#streams.size === 0) {
      this.#goaway = "sent";
      const frame = codeFrame(wire.GOAWAY, wire.GOAWAY_CODES.done, "");
      this.#goawayEnd = this.#replay.end + frame.length;
      return { frame, release: undefined };
    }
    return undefined;
  }

  #newControl(): Uint8Array | undefined {
    if (this.#creditOwed.size === 0 && this.#resetOwed.size === 0) return undefined;
    if (this.#replay.inFlight > this.#flight.most + limits.MAX_UNACKED_CONTROL) {
      throw new ProtocolError(
        `The other end left ${this.#replay.inFlight} bytes unacknowledged and goes on sending`,
      );
    }
    for (const stream of this.#creditOwed) {
      this.#creditOwed.delete(stream);
      return u64Frame(wire.CREDIT, stream.id, stream.grantCredit());
    }
    for (const [id, frame] of this.#resetOwed) {
      this.#resetOwed.delete(id);
      return frame;
    }
    return undefined;
  }

  #newBulk(): QueuedFrame | undefined {
    if (this.#stopPace) return undefined;
    const stream = this.#scheduler.next();
    if (!stream) return undefined;
    const length = stream.nextFrameLength;
    const inFlight = this.#replay.inFlight;
    if (inFlight > 0 && inFlight + length > this.#flight.bytes) {
      this.#flight.held();
      return undefined;
    }
    if (this.#pacer.rate !== Infinity) {
      const wait = this.#pacer.wait(this.#clock.now());
      if (wait > 0) {
        this.#stopPace = this.#clock.after(wait, () => {
          this.#stopPace = undefined;
          this.wake();
        });
        return undefined;
      }
      this.#pacer.spend(length);
    }
    this.#scheduler.sent(stream, length);
    return stream.takeFrame();
  }

  // Input (FrameSink)

  reading(buffer: ReadBuffer): void {
    this.#readBuffer = buffer;
  }

  dataBegin(header: FrameHeader): void {
    this.#skip = 0;
    const partial = this.#partial;
    if (partial) {
      const same = partial.header.stream === header.stream &&
        partial.header.length === header.length && partial.header.flags === header.flags;
      if (!same) throw new ProtocolError("The replay is not what was sent before");
      this.#skip = partial.delivered;
      this.#partial = { header, delivered: partial.delivered };
    }
    this.#target = this.#lookup(header.stream);
    this.#target?.checkData(header.length - this.#skip);
    this.#current = header;
    this.#delivered = 0;
  }

  dataPiece(_header: FrameHeader, bytes: Uint8Array): void {
    this.#delivered += bytes.length;
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, bytes.length);
      this.#skip -= skipped;
      if (skipped === bytes.length) return;
      bytes = bytes.subarray(skipped);
    }
    this.#target?.deliver(bytes, this.#readBuffer!);
  }

  dataEnd(header: FrameHeader): void {
    this.#partial = undefined;
    this.#current = undefined;
    if (header.flags & wire.FLAG_FIN) this.#target?.deliverEnd();
    this.#target = undefined;
    this.#countReceived(header);
  }

  control(header: FrameHeader, payload: Uint8Array): void {
    if (header.type >= wire.FIRST_SEQUENCED) {
      if (this.#partial) throw new ProtocolError("The replay is not what was sent before");
      this.#countReceived(header);
    }
    switch (header.type) {
      case wire.ACK:
        return this.#onAck(getU64(payload, 0));
      case wire.PING:
        this.#pongOwed = payload.slice();
        return this.wake();
      case wire.PONG:
        if (payload[7] === MEASURING[7]) this.#link?.pongReceived();
        return;
      case wire.CREDIT:
        return this.#lookup(header.stream)?.raiseSendLimit(getU64(payload, 0));
      case wire.RESET:
        return this.#onReset(header.stream, payload);
      case wire.GOAWAY:
        return this.#onGoaway(payload);
      default:
        throw new ProtocolError(`Got a frame of type ${header.type} after the handshake`);
    }
  }

  #onAck(received: number): void {
    if (!this.#replay.ack(received)) return;
    this.#flight.acked(received, this.#replay.end, this.rttMs, this.#clock.now());
    this.wake();
  }

  #countReceived(header: FrameHeader): void {
    this.#received += wire.HEADER_LENGTH + header.length;
    // What still stood in the buffer behind the frame that ended it.
    if (this.state === "ended") return;
    if (this.#received - this.#ackSent >= this.#ackEvery) {
      if (!this.#ackDue) {
        this.#ackDue = true;
        this.wake();
      }
    } else if (!this.#stopAck) {
      this.#armAck();
    }
  }

  /**
   * One timer at a time, which is left to run when an acknowledgement goes out before it: what came
   * after that one waits for the timer's next turn. The more came between two turns, the more may
   * come until an acknowledgement is due.
   */
  #armAck(): void {
    const sent = this.#ackSent;
    const received = this.#received;
    this.#stopAck = this.#clock.after(limits.ACK_DELAY_MS, () => {
      this.#stopAck = undefined;
      const share = (this.#received - received) / limits.ACKS_PER_DELAY;
      this.#ackEvery = Math.min(limits.MOST_ACK_EVERY, Math.max(limits.ACK_EVERY, share));
      if (this.#received === this.#ackSent) return;
      if (this.#ackSent !== sent) return this.#armAck();
      this.#ackDue = true;
      this.wake();
    });
  }

  #onReset(id: number, payload: Uint8Array): void {
    const theirs = id % 2 === (this.role === "connecting" ? 0 : 1);
    if (theirs && id > this.#lastRemote && this.#resetEarly.size < limits.MAX_STREAMS) {
      this.#resetEarly.add(id);
      return;
    }
    const stream = this.#lookup(id);
    if (!stream) return;
    const finalOffset = getU64(payload, wire.OFFSET_IN_RESET);
    if (finalOffset !== stream.bytesReceived) {
      throw new ProtocolError(
        `Got a reset of stream ${id} at ${finalOffset}, but ${stream.bytesReceived} bytes of it`,
      );
    }
    const number = new DataView(payload.buffer, payload.byteOffset).getUint16(0);
    const code = codeName(wire.RESET_CODES, number) ?? "internal";
    const reason = decodeReason(payload.subarray(wire.REASON_OFFSET_IN_RESET));
    this.#remove(stream);
    stream.fail(new StreamResetError(code, reason, "peer"));
  }

  #onGoaway(payload: Uint8Array): void {
    const number = new DataView(payload.buffer, payload.byteOffset).getUint16(0);
    if (number !== wire.GOAWAY_CODES.done) {
      const code = codeName(wire.GOAWAY_CODES, number) ?? `code ${number}`;
      const reason = decodeReason(payload.subarray(2)) || code;
      this.#end(new SessionError("ended-by-peer", `The other end ended the session: ${reason}`));
      return;
    }
    this.#peerGoaway = true;
    this.#ackDue = true;
    if (this.#goaway === "none") this.#goaway = "wanted";
    this.wake();
  }

  // The end

  /**
   * Ends the session cleanly: waits until the streams have ended, says so, waits for the other end
   * to say the same.
   *
   * @returns why it did not end cleanly, or `undefined`.
   */
  async close(deadlineMs: number = limits.CLOSE_MS): Promise<SessionError | undefined> {
    if (this.state !== "ended") {
      if (this.#goaway === "none") this.#goaway = "wanted";
      this.wake();
      const cancel = this.#clock.after(
        deadlineMs,
        () =>
          this.abort(
            `The session could not be ended cleanly within ${deadlineMs / 1000} s`,
            "stopped",
          ),
      );
      await this.ended;
      cancel();
    }
    return await this.ended;
  }

  /** For the connecting end: there is no way back to the other end. */
  giveUp(reason: string, cause: unknown): void {
    this.#end(this.#bothSaidDone ? undefined : new SessionError("lost", reason, { cause }));
  }

  /** Ends the session now and tells the other end why, if it can be told within a second. */
  abort(reason: string, code: wire.GoawayCode): void {
    this.#abort(new SessionError("closed", reason), code, reason);
  }

  #abort(error: SessionError, code: wire.GoawayCode, reason: string): void {
    if (this.state === "ended") return;
    const link = this.#link;
    this.#fatal = codeFrame(wire.GOAWAY, wire.GOAWAY_CODES[code], reason);
    this.#finish(error);
    if (!link) return;
    link.closeAfterOutput(error);
    const cancel = this.#clock.after(1000, () => link.close(error));
    link.over.then(cancel);
  }

  #checkCleanEnd(): void {
    if (this.#bothSaidDone && this.#replay.acked >= this.#goawayEnd) {
      this.#end(undefined);
    }
  }

  /** The session is over and its connection is closed. */
  #end(error: SessionError | undefined): void {
    if (this.state === "ended") return;
    const link = this.#link;
    this.#finish(error);
    link?.close(error ?? new ConnectionError("The session ended"));
  }

  #finish(error: SessionError | undefined): void {
    this.#states.to("ended");
    this.#stopGrace();
    this.#stopPace?.();
    this.#stopAck?.();
    this.#creditOwed.clear();
    this.#resetOwed.clear();
    const failure = error ?? new SessionError("closed", "The session has ended");
    for (const stream of [this.rpc, ...this.#streams.values()]) stream.fail(failure);
    this.#streams.clear();
    this.#linkListeners.clear();
    this.#ended.resolve(error);
  }

  #tellLink(change: LinkChange): void {
    for (const listener of this.#linkListeners) listener(change);
  }
}

function decodeReason(bytes: Uint8Array): string {
  return printable(new TextDecoder().decode(bytes), limits.MAX_REASON);
}
