import type { BytePipe } from "../io/mod.ts";
import type { FrameBuffer, ReadBuffer } from "./buffers.ts";
import { ProtocolError, StreamResetError } from "./errors.ts";
import { putHeader } from "./frame.ts";
import * as limits from "./limits.ts";
import { DATA, FLAG_FIN, HEADER_LENGTH, type ResetCode } from "./wire.ts";

/** What a stream asks of its session. */
export interface StreamHost {
  /** The stream has a frame to send. */
  readyToSend(stream: TunnelStream): void;
  /** Credit is owed to the peer. */
  owesCredit(stream: TunnelStream): void;
  /** A RESET is owed to the peer. */
  owesReset(stream: TunnelStream, code: ResetCode, finalOffset: number, reason: string): void;
  /** Both directions are over and everything received was consumed. */
  streamDone(stream: TunnelStream): void;
  /** How many bytes beyond what was consumed the peer may be allowed on this stream, at most. */
  maxWindowFor(stream: TunnelStream): number;
  /** Shortest round trip seen on the connection, ms. */
  readonly rttMs: number;
  /** The session's clock, ms. */
  now(): number;
  /** The largest DATA payload to send now, bytes. */
  readonly maxData: number;
  takeFrameBuffer(size: "small" | "large"): FrameBuffer;
  putFrameBuffer(buffer: FrameBuffer): void;
  readonly mayPin: boolean;
}

/** A piece of what came in; `release` must be called when its bytes are used up. */
export interface Piece {
  readonly bytes: Uint8Array;
  readonly buffer: ReadBuffer | undefined;
}

/** A frame that waits for its turn. */
export interface QueuedFrame {
  readonly frame: Uint8Array;
  readonly release: (() => void) | undefined;
}

const SMALL_PAYLOAD = 16 * 1024;

/**
 * One byte stream inside a session, with credit in both directions. Offsets count bytes of this
 * stream. Ends cleanly when both directions have ended, or by a reset that ends both at once.
 *
 * It can be used as a `BytePipe`, or without a copy: `reserve`/`commit` to send, `nextPiece`/
 * `consume` to receive. One reader and one writer at a time.
 */
export class TunnelStream implements BytePipe {
  readonly id: number;
  readonly #host: StreamHost;

  #sendOffset = 0;
  #sendLimit: number;
  #queue: QueuedFrame[] = [];
  #reserved: FrameBuffer | undefined;
  #reservedSize: "small" | "large" = "small";
  #finSent = false;
  #wakeSender: (() => void) | undefined;

  #receiveOffset = 0;
  #receiveLimit: number;
  #consumed = 0;
  #window: number;
  #grantedAt: number;
  #pieces: Piece[] = [];
  /** Where small pieces that nobody reads yet are gathered. */
  #chunk: Uint8Array | undefined;
  #chunkUsed = 0;
  #finReceived = false;
  #wakeReader: (() => void) | undefined;
  #onReadable: (() => void) | undefined;

  #failure: Error | undefined;
  #done = false;
  readonly #ended = Promise.withResolvers<void>();

  constructor(id: number, host: StreamHost, sendWindow: number, receiveWindow: number) {
    this.id = id;
    this.#host = host;
    this.#sendLimit = sendWindow;
    this.#receiveLimit = receiveWindow;
    this.#window = receiveWindow;
    this.#grantedAt = host.now();
  }

  /** Bytes queued for sending so far. */
  get bytesSent(): number {
    return this.#sendOffset;
  }

  /** Bytes received so far. */
  get bytesReceived(): number {
    return this.#receiveOffset;
  }

  /** Bytes that the peer was allowed and that were not consumed yet. */
  get creditOut(): number {
    return this.#receiveLimit - this.#consumed;
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
    while (true) {
      if (this.#failure) throw this.#failure;
      if (this.#finSent) throw new TypeError(`Stream ${this.id} was ended for sending`);
      const credit = this.#sendLimit - this.#sendOffset;
      if (credit > 0 && this.#queue.length < limits.FRAMES_AHEAD) {
        this.#reserved ??= this.#host.takeFrameBuffer(this.#reservedSize);
        const room = Math.min(
          credit,
          this.#host.maxData,
          this.#reserved.length - HEADER_LENGTH,
        );
        return this.#reserved.subarray(HEADER_LENGTH, HEADER_LENGTH + room);
      }
      await new Promise<void>((resolve) => this.#wakeSender = resolve);
    }
  }

  /** Sends the first `length` bytes of what `reserve` returned. */
  commit(length: number): void {
    const reserved = this.#reserved!;
    if (this.#failure || length === 0) return;
    const room = reserved.length - HEADER_LENGTH;
    let frame: Uint8Array;
    let release: (() => void) | undefined;
    if (length * 2 < room) {
      frame = reserved.slice(0, HEADER_LENGTH + length);
    } else {
      frame = reserved.subarray(0, HEADER_LENGTH + length);
      this.#reserved = undefined;
      release = () => this.#host.putFrameBuffer(reserved);
    }
    if (room === SMALL_PAYLOAD ? length === room : length < SMALL_PAYLOAD) {
      this.#reservedSize = room === SMALL_PAYLOAD ? "large" : "small";
      this.#dropReserved();
    }
    putHeader(frame, length, DATA, 0, this.id);
    this.#sendOffset += length;
    this.#enqueue({ frame, release });
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
    this.#enqueue({ frame, release: undefined });
    return Promise.resolve();
  }

  /** Length of the frame whose turn is next, 0 when none waits. */
  get nextFrameLength(): number {
    return this.#queue[0]?.frame.length ?? 0;
  }

  /** For the session: takes the next frame for sending. */
  takeFrame(): QueuedFrame | undefined {
    const queued = this.#queue.shift();
    this.#wakeSend();
    if (this.#finSent && this.#queue.length === 0) this.#checkDone();
    return queued;
  }

  /** For the session: the peer may now be sent `limit` bytes in all. A lower limit is an old one. */
  raiseSendLimit(limit: number): void {
    if (limit <= this.#sendLimit) return;
    this.#sendLimit = limit;
    this.#wakeSend();
  }

  #enqueue(queued: QueuedFrame): void {
    this.#queue.push(queued);
    this.#host.readyToSend(this);
  }

  #wakeSend(): void {
    const wake = this.#wakeSender;
    this.#wakeSender = undefined;
    wake?.();
  }

  #dropReserved(): void {
    if (this.#reserved) this.#host.putFrameBuffer(this.#reserved);
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
    this.#consumed += piece.bytes.length;
    if (this.#failure) return;
    if (!this.#finReceived) {
      if (this.#receiveLimit - this.#consumed <= this.#window / 2) this.#host.owesCredit(this);
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
   * For the session: the limit to tell the peer; it holds from now on. The window doubles while the
   * reader uses up half of it within a round trip, which means that the peer waits for credit;
   * a reader that is slower than that has no use for more, it would only stand in a queue. A window
   * that comes in one burst is granted anew once a round trip and a little, hence the half more.
   */
  grantCredit(): number {
    const now = this.#host.now();
    if (now - this.#grantedAt < limits.WINDOW_MS + 1.5 * this.#host.rttMs) this.#window *= 2;
    this.#grantedAt = now;
    this.#window = Math.min(this.#window, this.#host.maxWindowFor(this));
    this.#receiveLimit = Math.max(this.#receiveLimit, this.#consumed + this.#window);
    return this.#receiveLimit;
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
    if (this.#receiveOffset + length > this.#receiveLimit) {
      throw new ProtocolError(
        `Got ${this.#receiveOffset + length} bytes on stream ${this.id}, ` +
          `but only ${this.#receiveLimit} were allowed`,
        "flow-control",
      );
    }
  }

  /** For the session: bytes came in; they lie in `buffer`, which is pinned or copied from. */
  deliver(bytes: Uint8Array, buffer: ReadBuffer): void {
    this.#receiveOffset += bytes.length;
    if (this.#failure || bytes.length === 0) return;
    if (bytes.length >= limits.MIN_PINNED_PIECE && this.#host.mayPin) {
      buffer.hold();
      this.#pieces.push({ bytes, buffer });
    } else if (!this.#appendToLast(bytes)) {
      this.#pieces.push({ bytes: this.#copied(bytes), buffer: undefined });
    }
    this.#wakeRead();
  }

  /** Many small pieces become few: a peer that sends single bytes must not cost us an object each. */
  #appendToLast(bytes: Uint8Array): boolean {
    const last = this.#pieces.at(-1);
    const chunk = this.#chunk;
    if (!last || !chunk || last.bytes.buffer !== chunk.buffer) return false;
    if (this.#chunkUsed + bytes.length > chunk.length) return false;
    const from = last.bytes.byteOffset - chunk.byteOffset;
    chunk.set(bytes, this.#chunkUsed);
    this.#chunkUsed += bytes.length;
    this.#pieces[this.#pieces.length - 1] = {
      bytes: chunk.subarray(from, this.#chunkUsed),
      buffer: undefined,
    };
    return true;
  }

  /** The bytes in memory of our own, with room behind them where a reader has fallen behind. */
  #copied(bytes: Uint8Array): Uint8Array {
    if (this.#pieces.length === 0 || bytes.length >= limits.COALESCE) return bytes.slice();
    this.#chunk = new Uint8Array(limits.COALESCE);
    this.#chunk.set(bytes);
    this.#chunkUsed = bytes.length;
    return this.#chunk.subarray(0, bytes.length);
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
    this.#host.owesReset(this, code, finalOffset, reason);
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
    for (const queued of this.#queue) queued.release?.();
    this.#queue = [];
    for (const piece of this.#pieces) piece.buffer?.release();
    this.#pieces = [];
    this.#wakeSend();
    this.#wakeRead();
    this.#ended.resolve();
  }

  #queuedBytes(): number {
    return this.#queue.reduce((sum, q) => sum + q.frame.length - HEADER_LENGTH, 0);
  }

  #checkDone(): void {
    if (this.#done || this.#failure) return;
    if (!this.#finSent || this.#queue.length > 0) return;
    if (!this.#finReceived || this.#consumed < this.#receiveOffset) return;
    this.#done = true;
    this.#ended.resolve();
    this.#host.streamDone(this);
  }
}
