import { type FrameBuffer, LARGEST_ROOM, SMALLEST_ROOM } from "../connection/buffers.ts";
import type { Packing } from "../compress/packing.ts";
import { StreamGain } from "../compress/stream_gain.ts";
import * as limits from "../limits.ts";
import { OutFrame } from "../send/out_frame.ts";
import { putHeader } from "../wire/frame.ts";
import { DATA, FLAG_FIN, HEADER_LENGTH } from "../wire/layout.ts";

/** What the sending direction of a stream needs of its surroundings. */
export interface SenderHost {
  /** The largest DATA payload to send now, bytes. */
  readonly maxData: number;
  /** A buffer for a frame with a payload of `length` bytes. */
  takeFrameBuffer(length: number): FrameBuffer;
  /** Compresses frames, if the peer accepts it. */
  readonly packing?: Pick<Packing, "take"> | undefined;
}

/**
 * The sending direction of one stream: the peer's credit, the frame that is being filled and the
 * frames that wait for the connection. Owned by the stream.
 */
export class StreamSender {
  readonly #id: number;
  readonly #host: SenderHost;
  readonly #onReady: () => void;
  readonly #onEnded: () => void;
  #offset = 0;
  #limit: number;
  #queue: OutFrame[] = [];
  readonly #gain = new StreamGain();
  /** The last frame was compressed. */
  #packs = false;
  #reserved: FrameBuffer | undefined;
  /** Room of the next buffer: the smallest while the stream sends little, the largest for bulk. */
  #nextRoom = SMALLEST_ROOM;
  #finSent = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /**
   * @param window bytes that may be sent before any credit came.
   * @param onReady called when there is a frame to send.
   * @param onEnded called when the last frame of this direction was taken for sending.
   */
  constructor(
    id: number,
    host: SenderHost,
    window: number,
    onReady: () => void,
    onEnded: () => void,
  ) {
    this.#id = id;
    this.#host = host;
    this.#limit = window;
    this.#onReady = onReady;
    this.#onEnded = onEnded;
  }

  /** Bytes queued for sending so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes of the stream that were taken for sending so far: the final offset of a RESET. */
  get offsetTaken(): number {
    return this.#queue.reduce((at, { rawLength }) => at - rawLength, this.#offset);
  }

  /** Bytes that the peer accepts in all, by its last credit. */
  get limit(): number {
    return this.#limit;
  }

  /** The peer has been sent everything, the end included. */
  get ended(): boolean {
    return this.#finSent && this.#queue.length === 0;
  }

  /** {@inheritDoc TunnelStream.reserve} */
  async reserve(): Promise<Uint8Array> {
    let room: Uint8Array | undefined;
    while ((room = this.tryReserve()) === undefined) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return room;
  }

  /** {@inheritDoc TunnelStream.tryReserve} */
  tryReserve(): Uint8Array | undefined {
    if (this.#failure) throw this.#failure;
    if (this.#finSent) throw new TypeError(`Stream ${this.#id} was ended for sending`);
    const credit = this.#limit - this.#offset;
    const most = this.#packs ? limits.COMPRESSED_FRAMES_AHEAD : limits.FRAMES_AHEAD;
    if (credit <= 0 || this.#queue.length >= most) return undefined;
    this.#reserved ??= this.#host.takeFrameBuffer(this.#nextRoom);
    return this.#reserved.payload(Math.min(credit, this.#host.maxData));
  }

  /** {@inheritDoc TunnelStream.commit} */
  commit(length: number): void {
    const reserved = this.#reserved!;
    if (this.#failure || length === 0) return;
    let bytes = reserved.frame(length);
    let buffer: FrameBuffer | undefined;
    const { room } = reserved;
    if (length * 2 >= room) {
      buffer = reserved;
      this.#reserved = undefined;
    } else if (length >= SMALLEST_ROOM) {
      buffer = this.#host.takeFrameBuffer(length);
      const copy = buffer.frame(length);
      copy.set(bytes);
      bytes = copy;
    } else {
      bytes = bytes.slice();
    }
    if (room === SMALLEST_ROOM ? length === room : length < SMALLEST_ROOM) {
      this.#nextRoom = room === SMALLEST_ROOM ? LARGEST_ROOM : SMALLEST_ROOM;
      this.#dropReserved();
    }
    putHeader(bytes, length, DATA, 0, this.#id);
    const frame = new OutFrame(bytes, buffer, length);
    const packing = this.#id === 0 ? undefined : this.#host.packing;
    this.#packs = packing?.take({
      frame,
      streamId: this.#id,
      offset: this.#offset,
      gain: this.#gain,
      onReady: this.#checkReady,
    }) ?? false;
    this.#offset += length;
    this.#enqueue(frame);
  }

  /** {@inheritDoc TunnelStream.closeWrite} */
  closeWrite(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#finSent) return Promise.resolve();
    this.#finSent = true;
    this.#dropReserved();
    const frame = new Uint8Array(HEADER_LENGTH);
    putHeader(frame, 0, DATA, FLAG_FIN, this.#id);
    this.#enqueue(new OutFrame(frame));
    return Promise.resolve();
  }

  /** {@inheritDoc TunnelStream.nextFrameLength} */
  get nextFrameLength(): number {
    const first = this.#queue[0];
    return first === undefined || first.pending ? 0 : first.bytes.length;
  }

  /** {@inheritDoc TunnelStream.takeFrame} */
  takeFrame(): OutFrame | undefined {
    if (this.nextFrameLength === 0) return undefined;
    const frame = this.#queue.shift();
    this.#wakeWriter();
    if (this.ended) this.#onEnded();
    return frame;
  }

  /** {@inheritDoc TunnelStream.raiseSendLimit} */
  raiseLimit(limit: number): void {
    if (limit <= this.#limit) return;
    this.#limit = limit;
    this.#wakeWriter();
  }

  /** The stream is over: a waiting writer fails, frames that were not sent are dropped. */
  fail(failure: Error): void {
    this.#failure = failure;
    // Not released to the pool: a read into it may still be under way.
    this.#reserved = undefined;
    for (const frame of this.#queue) {
      frame.pending = false;
      frame.release();
    }
    this.#queue = [];
    this.#wakeWriter();
  }

  #enqueue(frame: OutFrame): void {
    this.#queue.push(frame);
    this.#checkReady();
  }

  readonly #checkReady = (): void => {
    if (this.nextFrameLength > 0) this.#onReady();
  };

  #wakeWriter(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #dropReserved(): void {
    this.#reserved?.release();
    this.#reserved = undefined;
  }
}
