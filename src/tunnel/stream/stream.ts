import type { BytePipe } from "../../io/mod.ts";
import {
  type FrameBuffer,
  type FrameSize,
  type ReadBuffer,
  SMALL_PAYLOAD,
} from "../connection/buffers.ts";
import { ProtocolError, StreamResetError } from "../errors.ts";
import { putHeader } from "../wire/frame.ts";
import * as limits from "../limits.ts";
import { OutFrame } from "../send/out_frame.ts";
import { type Piece, PieceQueue } from "../receive/pieces.ts";
import { ReceiveWindow } from "../receive/receive_window.ts";
import { DATA, FLAG_FIN, HEADER_LENGTH, type ResetCode } from "../wire/layout.ts";

/** Where a stream's frames go. */
export interface StreamOutput {
  /** The stream has a frame to send. */
  readyToSend(stream: TunnelStream): void;
  /** Credit is owed to the peer. */
  owesCredit(stream: TunnelStream): void;
  /** A RESET is owed to the peer. */
  owesReset(stream: TunnelStream, code: ResetCode, finalOffset: number, reason: string): void;
  /** The largest DATA payload to send now, bytes. */
  readonly maxData: number;
  takeFrameBuffer(size: FrameSize): FrameBuffer;
}

/** Who keeps a stream until it is over. */
export interface StreamOwner {
  /**
   * The stream is over: both directions have ended and everything received was consumed, or this
   * end reset it.
   */
  streamDone(stream: TunnelStream): void;
  /** How many bytes beyond what was consumed the peer may be allowed on this stream, at most. */
  maxWindowFor(stream: TunnelStream): number;
  /** Shortest round trip seen on the connection, ms. */
  readonly rttMs: number;
  /** The session's clock, ms. */
  now(): number;
  /** True while another read buffer may be pinned instead of copied out of. */
  readonly mayPin: boolean;
}

/**
 * One byte stream inside a session, with credit in both directions. Offsets count bytes of this
 * stream. Ends cleanly when both directions have ended, or by a reset that ends both at once.
 *
 * It can be used as a `BytePipe`, or without a copy: `tryReserve`/`reserve` and `commit` to send,
 * `takePiece`/`nextPiece` and `consume` to receive. One reader and one writer at a time.
 */
export class TunnelStream implements BytePipe {
  readonly id: number;
  /** The scheduler's. */
  deficit: number | undefined;
  readonly #owner: StreamOwner;
  readonly #output: StreamOutput;

  #sendOffset = 0;
  #sendLimit: number;
  #queue: OutFrame[] = [];
  #reserved: FrameBuffer | undefined;
  #reservedSize: FrameSize = "small";
  #finSent = false;
  #wakeSender: (() => void) | undefined;

  readonly #window: ReceiveWindow;
  readonly #pieces = new PieceQueue();
  #finReceived = false;
  #wakeReader: (() => void) | undefined;
  #onReadable: (() => void) | undefined;

  #failure: Error | undefined;
  #done = false;
  readonly #ended = Promise.withResolvers<void>();

  /** The windows are what each direction may carry before any credit came, bytes. */
  constructor(
    id: number,
    owner: StreamOwner,
    output: StreamOutput,
    sendWindow: number,
    receiveWindow: number,
  ) {
    this.id = id;
    this.#owner = owner;
    this.#output = output;
    this.#sendLimit = sendWindow;
    this.#window = new ReceiveWindow(receiveWindow, owner.now());
  }

  /** Bytes queued for sending so far. */
  get bytesSent(): number {
    return this.#sendOffset;
  }

  /** Bytes received so far. */
  get bytesReceived(): number {
    return this.#window.received;
  }

  /** Bytes that the peer was allowed and that were not consumed yet. */
  get creditOut(): number {
    return this.#window.creditOut;
  }

  /** Set once the stream was reset or its session ended. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Resolves when the stream is over, either way. Never rejects. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  // Sending

  /**
   * Waits until something may be sent.
   *
   * @returns room for at most as many bytes as there is credit; fill it from its start and `commit`.
   * @throws {StreamResetError | SessionError} when the stream is over.
   */
  async reserve(): Promise<Uint8Array> {
    let room: Uint8Array | undefined;
    while ((room = this.tryReserve()) === undefined) {
      await new Promise<void>((resolve) => this.#wakeSender = resolve);
    }
    return room;
  }

  /**
   * Like `reserve`, without waiting.
   *
   * @returns `undefined` when nothing may be sent now.
   */
  tryReserve(): Uint8Array | undefined {
    if (this.#failure) throw this.#failure;
    if (this.#finSent) throw new TypeError(`Stream ${this.id} was ended for sending`);
    const credit = this.#sendLimit - this.#sendOffset;
    if (credit <= 0 || this.#queue.length >= limits.FRAMES_AHEAD) return undefined;
    this.#reserved ??= this.#output.takeFrameBuffer(this.#reservedSize);
    return this.#reserved.payload(Math.min(credit, this.#output.maxData));
  }

  /** Sends the first `length` bytes of what `reserve` returned. */
  commit(length: number): void {
    const reserved = this.#reserved!;
    if (this.#failure || length === 0) return;
    let bytes = reserved.frame(length);
    let buffer: FrameBuffer | undefined;
    if (length * 2 < reserved.room) {
      bytes = bytes.slice();
    } else {
      buffer = reserved;
      this.#reserved = undefined;
    }
    const { size } = reserved;
    if (size === "small" ? length === reserved.room : length < SMALL_PAYLOAD) {
      this.#reservedSize = size === "small" ? "large" : "small";
      this.#dropReserved();
    }
    putHeader(bytes, length, DATA, 0, this.id);
    this.#sendOffset += length;
    this.#enqueue(new OutFrame(bytes, buffer));
  }

  async write(from: Uint8Array): Promise<number> {
    const room = await this.reserve();
    const n = Math.min(room.length, from.length);
    room.set(n === from.length ? from : from.subarray(0, n));
    this.commit(n);
    return n;
  }

  /** Ends the sending direction: the peer sees the end after all bytes before it. */
  closeWrite(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#finSent) return Promise.resolve();
    this.#finSent = true;
    this.#dropReserved();
    const frame = new Uint8Array(HEADER_LENGTH);
    putHeader(frame, 0, DATA, FLAG_FIN, this.id);
    this.#enqueue(new OutFrame(frame));
    return Promise.resolve();
  }

  /** Length of the frame whose turn is next, 0 when none waits. */
  get nextFrameLength(): number {
    return this.#queue.length === 0 ? 0 : this.#queue[0]!.bytes.length;
  }

  /** For the session: takes the next frame for sending. */
  takeFrame(): OutFrame | undefined {
    if (this.#queue.length === 0) return undefined;
    const frame = this.#queue.shift();
    this.#wakeSend();
    if (this.#finSent && this.#queue.length === 0) this.#checkDone();
    return frame;
  }

  /** For the session: the peer may now be sent `limit` bytes in all. A lower limit is an old one. */
  raiseSendLimit(limit: number): void {
    if (limit <= this.#sendLimit) return;
    this.#sendLimit = limit;
    this.#wakeSend();
  }

  #enqueue(frame: OutFrame): void {
    this.#queue.push(frame);
    this.#output.readyToSend(this);
  }

  #wakeSend(): void {
    const wake = this.#wakeSender;
    this.#wakeSender = undefined;
    wake?.();
  }

  #dropReserved(): void {
    this.#reserved?.release();
    this.#reserved = undefined;
  }

  // Receiving

  /**
   * The next bytes that came in; hand them back with `consume`.
   *
   * @returns `null` at the peer's end of the stream.
   * @throws {StreamResetError | SessionError} when the stream was given up.
   */
  async nextPiece(): Promise<Piece | null> {
    while (true) {
      const piece = this.takePiece();
      if (piece !== undefined) return piece;
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => this.#wakeReader = resolve);
    }
  }

  /**
   * Like `nextPiece`, without waiting.
   *
   * @returns `undefined` when nothing is there now, or the stream was given up.
   */
  takePiece(): Piece | null | undefined {
    if (this.#failure) return undefined;
    return this.#pieces.shift() ?? (this.#finReceived ? null : undefined);
  }

  /**
   * Instead of waiting: `listener` is called whenever there may be something to take, or the stream
   * was given up, and within the call that brings it. It must not throw.
   */
  onReadable(listener: () => void): void {
    this.#onReadable = listener;
  }

  /** The first `length` bytes of `piece` are used up; the last of them frees its buffer. */
  consume(piece: Piece): void {
    piece.buffer?.release();
    this.#window.consume(piece.bytes.length);
    if (this.#failure) return;
    if (!this.#finReceived) {
      if (this.#window.worthGranting) this.#output.owesCredit(this);
    } else {
      this.#checkDone();
    }
  }

  async read(into: Uint8Array): Promise<number | null> {
    const piece = await this.nextPiece();
    if (piece === null) return null;
    const n = Math.min(piece.bytes.length, into.length);
    if (n === piece.bytes.length) {
      into.set(piece.bytes);
      this.consume(piece);
      return n;
    }
    into.set(piece.bytes.subarray(0, n));
    this.#pieces.unshift({ bytes: piece.bytes.subarray(n), buffer: piece.buffer });
    this.consume({ bytes: piece.bytes.subarray(0, n), buffer: undefined });
    return n;
  }

  /**
   * Both ends know of the stream, and somebody reads it from here on: on a long link the peer is
   * allowed more than the first window at once, it would wait a round trip for each doubling of it.
   */
  widenWindow(): void {
    if (this.#failure || this.#finReceived) return;
    const wanted = Math.min(limits.MOST_OPEN_WINDOW, limits.OPEN_WINDOW_PER_MS * this.#owner.rttMs);
    const size = Math.floor(Math.min(wanted, this.#owner.maxWindowFor(this)));
    if (this.#window.widen(size)) this.#output.owesCredit(this);
  }

  /** Instead: what waits for whoever reads it is in the way of something else, so little shall wait. */
  narrowWindow(): void {
    this.#window.narrow();
  }

  /** For the session: the limit to tell the peer; it holds from now on. */
  grantCredit(): number {
    const { rttMs } = this.#owner;
    return this.#window.grant(this.#owner.now(), rttMs, this.#owner.maxWindowFor(this));
  }

  /**
   * For the session: a DATA frame of `length` bytes begins.
   *
   * @throws {ProtocolError} when the peer has not that much credit, or had ended the stream.
   */
  checkData(length: number): void {
    if (this.#finReceived) {
      throw new ProtocolError(`Got data on stream ${this.id} after its end`);
    }
    const received = this.#window.received + length;
    if (received > this.#window.limit) {
      throw new ProtocolError(
        `Got ${received} bytes on stream ${this.id}, but only ${this.#window.limit} were allowed`,
        "flow-control",
      );
    }
  }

  /** For the session: bytes came in; they lie in `buffer`, which is pinned or copied from. */
  deliver(bytes: Uint8Array, buffer: ReadBuffer): void {
    this.#window.receive(bytes.length);
    if (this.#failure || bytes.length === 0) return;
    if (bytes.length >= limits.MIN_PINNED_PIECE && this.#owner.mayPin) {
      this.#pieces.pin(bytes, buffer);
    } else {
      this.#pieces.copy(bytes);
    }
    this.#wakeRead();
  }

  /** For the session: the peer will send nothing more. */
  deliverEnd(): void {
    this.#finReceived = true;
    this.#wakeRead();
    this.#checkDone();
  }

  #wakeRead(): void {
    const wake = this.#wakeReader;
    this.#wakeReader = undefined;
    wake?.();
    this.#onReadable?.();
  }

  // The end

  /** Gives the stream up in both directions and tells the peer why. */
  reset(code: ResetCode, reason: string): void {
    if (this.#failure || this.#done) return;
    const finalOffset = this.#sendOffset - this.#queuedBytes();
    this.fail(new StreamResetError(code, reason, "us"));
    this.#owner.streamDone(this);
    this.#output.owesReset(this, code, finalOffset, reason);
  }

  /** As a `BytePipe`: what has not ended by itself is reset. */
  close(): void {
    this.reset("cancelled", "Closed before its end");
  }

  /** For the session: the stream is over with `failure`; waiters wake, buffers are let go. */
  fail(failure: Error): void {
    if (this.#failure || this.#done) return;
    this.#failure = failure;
    // Not back to the pool: a read into it may still be under way.
    this.#reserved = undefined;
    for (const frame of this.#queue) frame.release();
    this.#queue = [];
    this.#pieces.clear();
    this.#wakeSend();
    this.#wakeRead();
    this.#ended.resolve();
  }

  #queuedBytes(): number {
    return this.#queue.reduce((sum, { bytes }) => sum + bytes.length - HEADER_LENGTH, 0);
  }

  #checkDone(): void {
    if (this.#done || this.#failure) return;
    if (!this.#finSent || this.#queue.length > 0) return;
    if (!this.#finReceived || !this.#window.empty) return;
    this.#done = true;
    this.#ended.resolve();
    this.#owner.streamDone(this);
  }
}
