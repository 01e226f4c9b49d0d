import type { BytePipe } from "../../io/mod.ts";
import type { ReadBuffer } from "../connection/buffers.ts";
import { StreamResetError } from "../errors.ts";
import type { Piece } from "../receive/pieces.ts";
import type { OutFrame } from "../send/out_frame.ts";
import type { ResetCode } from "../wire/layout.ts";
import { type ReceiverHost, StreamReceiver } from "./receiver.ts";
import { type SenderHost, StreamSender } from "./sender.ts";

/** Where a stream's frames go. */
export interface StreamOutput extends SenderHost {
  /** The stream has a frame to send. */
  readyToSend(stream: TunnelStream): void;
  /** Credit is owed to the peer. */
  owesCredit(stream: TunnelStream): void;
  /** A RESET is owed to the peer. */
  owesReset(stream: TunnelStream, code: ResetCode, finalOffset: number, reason: string): void;
}

/** The owner of a stream, until the stream is over. */
export interface StreamOwner extends ReceiverHost {
  /** Number of the lane that the stream is on. */
  readonly lane: number;
  /**
   * The stream is over: both directions have ended and everything received was consumed, or this
   * end reset it.
   */
  streamDone(stream: TunnelStream): void;
  /** How many bytes the peer may be allowed on this stream beyond those consumed, at most. */
  maxWindowFor(stream: TunnelStream): number;
}

/**
 * One byte stream inside a session, with credit in both directions (docs/tunnel-protocol.md,
 * section 5). Offsets count bytes of this stream. It ends cleanly when both directions have ended,
 * or by a reset, which ends both at once.
 *
 * Use it as a `BytePipe`, or without a copy: `tryReserve`/`reserve` and `commit` to send,
 * `takePiece`/`nextPiece` and `consume` to receive. One reader and one writer at a time.
 *
 * All errors that it throws are its `failure`: a {@link StreamResetError} when the stream was reset,
 * a `SessionError` when its session is over.
 */
export class TunnelStream implements BytePipe {
  /** Its number on the wire: odd if the connecting end opened it, even if the listening end did. */
  readonly id: number;
  /** For the scheduler alone: bytes that the stream may still send in its turn. */
  deficit: number | undefined;
  readonly #owner: StreamOwner;
  readonly #output: StreamOutput;
  readonly #sender: StreamSender;
  readonly #receiver: StreamReceiver;
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
    const onEnded = () => this.#checkDone();
    const onReady = () => output.readyToSend(this);
    const onOwesCredit = () => output.owesCredit(this);
    this.#sender = new StreamSender(id, output, sendWindow, onReady, onEnded);
    this.#receiver = new StreamReceiver(id, owner, receiveWindow, onOwesCredit, onEnded);
  }

  /** Number of the lane that it is on. */
  get lane(): number {
    return this.#owner.lane;
  }

  /** Bytes queued for sending so far. */
  get bytesSent(): number {
    return this.#sender.offset;
  }

  /** Grows while the peer takes what it is sent; has no unit. */
  get sendProgress(): number {
    return this.#sender.offsetTaken + this.#sender.limit;
  }

  /** Bytes received so far. */
  get bytesReceived(): number {
    return this.#receiver.received;
  }

  /** Bytes that the peer may send beyond those that were consumed. */
  get creditOut(): number {
    return this.#receiver.creditOut;
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
  reserve(): Promise<Uint8Array> {
    return this.#sender.reserve();
  }

  /**
   * Like `reserve`, without waiting.
   *
   * @returns `undefined` when nothing may be sent now.
   * @throws {StreamResetError | SessionError} when the stream is over.
   * @throws {TypeError} after `closeWrite`.
   */
  tryReserve(): Uint8Array | undefined {
    return this.#sender.tryReserve();
  }

  /** Sends the first `length` bytes of the room that `reserve` returned. */
  commit(length: number): void {
    this.#sender.commit(length);
  }

  /**
   * Sends some of `from`; waits for credit.
   *
   * @returns how many bytes were taken.
   * @throws {StreamResetError | SessionError} when the stream is over.
   */
  async write(from: Uint8Array): Promise<number> {
    const room = await this.#sender.reserve();
    const n = Math.min(room.length, from.length);
    room.set(n === from.length ? from : from.subarray(0, n));
    this.#sender.commit(n);
    return n;
  }

  /** Ends the sending direction: the peer sees the end after all bytes before it (FIN). */
  closeWrite(): Promise<void> {
    return this.#sender.closeWrite();
  }

  /** For the session: length of the frame to send next, header included; 0 without one. */
  get nextFrameLength(): number {
    return this.#sender.nextFrameLength;
  }

  /** For the session: takes the next frame for sending. */
  takeFrame(): OutFrame | undefined {
    return this.#sender.takeFrame();
  }

  /** For the session: the peer accepts `limit` bytes in all. A lower limit is an old one. */
  raiseSendLimit(limit: number): void {
    this.#sender.raiseLimit(limit);
  }

  // Receiving

  /**
   * Waits for the next bytes; return them with `consume`.
   *
   * @returns `null` at the peer's end of the stream.
   * @throws {StreamResetError | SessionError} when the stream failed.
   */
  nextPiece(): Promise<Piece | null> {
    return this.#receiver.nextPiece();
  }

  /**
   * Like `nextPiece`, without waiting.
   *
   * @returns `undefined` when nothing is there now, or the stream has failed.
   */
  takePiece(): Piece | null | undefined {
    return this.#receiver.takePiece();
  }

  /**
   * Calls `listener` whenever there may be something to take and when the stream fails, within the
   * call that delivers it. The listener must not throw.
   */
  onReadable(listener: () => void): void {
    this.#receiver.onReadable(listener);
  }

  /** The bytes of `piece` are used up; its buffer may be filled again. */
  consume(piece: Piece): void {
    this.#receiver.consume(piece);
  }

  /**
   * Reads up to `into.length` bytes.
   *
   * @returns how many, or `null` at the peer's end of the stream.
   * @throws {StreamResetError | SessionError} when the stream failed.
   */
  read(into: Uint8Array): Promise<number | null> {
    return this.#receiver.read(into);
  }

  /**
   * Call this when both ends know of the stream and its reader is there. Over a long round trip it
   * allows the peer more than the first window at once: each doubling would cost a round trip.
   */
  widenWindow(): void {
    this.#receiver.widenWindow(this.#owner.maxWindowFor(this));
  }

  /**
   * Call this in place of `widenWindow` where queued bytes add to the downtime (RAM at the
   * destination): the window stays as small as the reader allows.
   */
  narrowWindow(): void {
    this.#receiver.narrowWindow();
  }

  /** For the session: the limit to send to the peer; it counts from now on. */
  grantCredit(): number {
    return this.#receiver.grantCredit(this.#owner.maxWindowFor(this));
  }

  /**
   * For the session: a DATA frame of `length` bytes begins.
   *
   * @throws {ProtocolError} when the peer has less credit than that, or has ended the stream.
   */
  checkData(length: number): void {
    this.#receiver.checkData(length);
  }

  /** For the session: bytes came, which lie in `buffer`; they are pinned there or copied. */
  deliver(bytes: Uint8Array, buffer: ReadBuffer): void {
    this.#receiver.deliver(bytes, buffer);
  }

  /** For the session: bytes came in memory that nothing else uses. */
  deliverOwn(bytes: Uint8Array): void {
    this.#receiver.deliverOwn(bytes);
  }

  /** For the session: the peer sends nothing more. */
  deliverEnd(): void {
    this.#receiver.deliverEnd();
  }

  // The end

  /** Ends both directions at once and sends the peer the reason. */
  reset(code: ResetCode, reason: string): void {
    if (this.#failure || this.#done) return;
    const finalOffset = this.#sender.offsetTaken;
    this.fail(new StreamResetError(code, reason, "us"));
    this.#owner.streamDone(this);
    this.#output.owesReset(this, code, finalOffset, reason);
  }

  /** As a `BytePipe`: resets the stream unless it has ended. */
  close(): void {
    this.reset("cancelled", "Closed before its end");
  }

  /** For the session: the stream is over with `failure`; waiters wake, buffers are released. */
  fail(failure: Error): void {
    if (this.#failure || this.#done) return;
    this.#failure = failure;
    this.#sender.fail(failure);
    this.#receiver.fail(failure);
    this.#ended.resolve();
  }

  #checkDone(): void {
    if (this.#done || this.#failure || !this.#sender.ended || !this.#receiver.ended) return;
    this.#done = true;
    this.#ended.resolve();
    this.#owner.streamDone(this);
  }
}
