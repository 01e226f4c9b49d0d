import type { ReadBuffer } from "../connection/buffers.ts";
import { ProtocolError } from "../errors.ts";
import * as limits from "../limits.ts";
import { type Piece, PieceQueue } from "../receive/pieces.ts";
import { ReceiveWindow } from "../receive/receive_window.ts";

/** What the receiving direction of a stream needs of its surroundings. */
export interface ReceiverHost {
  /** Shortest round trip seen on the connection, ms. */
  readonly rttMs: number;
  /** The session's clock, ms. */
  now(): number;
  /** True while another read buffer may be pinned instead of copied out of. */
  readonly mayPin: boolean;
}

/**
 * The receiving direction of one stream: the pieces that wait for the reader and the credit that the
 * peer has. Owned by the stream.
 */
export class StreamReceiver {
  readonly #id: number;
  readonly #host: ReceiverHost;
  readonly #onOwesCredit: () => void;
  readonly #onEnded: () => void;
  readonly #window: ReceiveWindow;
  readonly #pieces = new PieceQueue();
  #finReceived = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #onReadable: (() => void) | undefined;

  /**
   * @param window bytes that the peer may send before it gets any credit.
   * @param onOwesCredit called when the peer should get a new limit.
   * @param onEnded called when everything may have been consumed, the end included.
   */
  constructor(
    id: number,
    host: ReceiverHost,
    window: number,
    onOwesCredit: () => void,
    onEnded: () => void,
  ) {
    this.#id = id;
    this.#host = host;
    this.#window = new ReceiveWindow(window, host.now());
    this.#onOwesCredit = onOwesCredit;
    this.#onEnded = onEnded;
  }

  /** Bytes received so far. */
  get received(): number {
    return this.#window.received;
  }

  /** Bytes that the peer may send beyond those that were consumed. */
  get creditOut(): number {
    return this.#window.creditOut;
  }

  /** The peer has ended this direction and everything was consumed. */
  get ended(): boolean {
    return this.#finReceived && this.#window.empty;
  }

  /** {@inheritDoc TunnelStream.nextPiece} */
  async nextPiece(): Promise<Piece | null> {
    while (true) {
      const piece = this.takePiece();
      if (piece !== undefined) return piece;
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** {@inheritDoc TunnelStream.takePiece} */
  takePiece(): Piece | null | undefined {
    if (this.#failure) return undefined;
    return this.#pieces.shift() ?? (this.#finReceived ? null : undefined);
  }

  /** {@inheritDoc TunnelStream.onReadable} */
  onReadable(listener: () => void): void {
    this.#onReadable = listener;
  }

  /** {@inheritDoc TunnelStream.consume} */
  consume(piece: Piece): void {
    piece.buffer?.release();
    this.#window.consume(piece.bytes.length);
    if (this.#failure) return;
    if (!this.#finReceived) {
      if (this.#window.worthGranting) this.#onOwesCredit();
    } else {
      this.#onEnded();
    }
  }

  /** {@inheritDoc TunnelStream.read} */
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

  /** Widens the window to what this round trip needs, `most` bytes at most. */
  widenWindow(most: number): void {
    if (this.#failure || this.#finReceived) return;
    const wanted = Math.min(limits.MOST_OPEN_WINDOW, limits.OPEN_WINDOW_PER_MS * this.#host.rttMs);
    if (this.#window.widen(Math.floor(Math.min(wanted, most)))) this.#onOwesCredit();
  }

  /** {@inheritDoc TunnelStream.narrowWindow} */
  narrowWindow(): void {
    this.#window.narrow();
  }

  /** The limit to send to the peer, which counts from now on; the window is `most` bytes at most. */
  grantCredit(most: number): number {
    return this.#window.grant(this.#host.now(), this.#host.rttMs, most);
  }

  /** {@inheritDoc TunnelStream.checkData} */
  checkData(length: number): void {
    if (this.#finReceived) {
      throw new ProtocolError(`Got data on stream ${this.#id} after its end`);
    }
    const received = this.#window.received + length;
    if (received > this.#window.limit) {
      throw new ProtocolError(
        `Got ${received} bytes on stream ${this.#id}, but only ${this.#window.limit} were allowed`,
        "flow-control",
      );
    }
  }

  /** {@inheritDoc TunnelStream.deliver} */
  deliver(bytes: Uint8Array, buffer: ReadBuffer): void {
    this.#window.receive(bytes.length);
    if (this.#failure || bytes.length === 0) return;
    if (bytes.length >= limits.MIN_PINNED_PIECE && this.#host.mayPin) {
      this.#pieces.pin(bytes, buffer);
    } else {
      this.#pieces.copy(bytes);
    }
    this.#wakeReader();
  }

  /** {@inheritDoc TunnelStream.deliverOwn} */
  deliverOwn(bytes: Uint8Array): void {
    this.#window.receive(bytes.length);
    if (this.#failure) return;
    if (bytes.length >= limits.COALESCE) this.#pieces.keep(bytes);
    else this.#pieces.copy(bytes);
    this.#wakeReader();
  }

  /** {@inheritDoc TunnelStream.deliverEnd} */
  deliverEnd(): void {
    this.#finReceived = true;
    this.#wakeReader();
    this.#onEnded();
  }

  /** The stream is over: a waiting reader fails, pieces that were not taken are dropped. */
  fail(failure: Error): void {
    this.#failure = failure;
    this.#pieces.clear();
    this.#wakeReader();
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
    this.#onReadable?.();
  }
}
