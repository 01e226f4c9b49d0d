/**
 * Buffers that are used again: the ones the connection is read into and the ones frames are built in.
 *
 * @module
 */
import * as limits from "./limits.ts";
import { HEADER_LENGTH } from "./wire.ts";

/**
 * A buffer that the connection is read into, one read behind the other; streams that still hold a
 * piece of it pin it. Once only its reader holds it, it is filled from its start again, where it is
 * still in the processor's cache.
 */
export class ReadBuffer {
  readonly #bytes = new Uint8Array(limits.READ_BUFFER);
  readonly #pool: ReadBufferPool;
  #used = 0;
  #holders = 0;

  constructor(pool: ReadBufferPool) {
    this.#pool = pool;
  }

  /**
   * The next `most` bytes, or what is left, to read into, with a hold on the buffer; `undefined` when
   * too little is left to be worth a read.
   */
  reserve(most: number): Uint8Array | undefined {
    if (this.#holders === 1) this.#used = 0;
    const left = this.#bytes.length - this.#used;
    if (left < Math.min(most, limits.MIN_READ)) return undefined;
    const from = this.#used;
    this.#used += Math.min(most, left);
    this.hold();
    return this.#bytes.subarray(from, this.#used);
  }

  /** Only `length` bytes of what was reserved were needed; the rest is free if nothing is behind it. */
  giveBack(room: Uint8Array, length: number): void {
    const unused = room.length - length;
    if (room.byteOffset + room.length === this.#used) this.#used -= unused;
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    if (--this.#holders === 0) this.#pool.put(this);
  }
}

/** Hands out read buffers and counts those that are out. */
export class ReadBufferPool {
  #free: ReadBuffer[] = [];
  #out = 0;

  /** True while streams may pin another buffer instead of copying out of it. */
  get mayPin(): boolean {
    return this.#out <= limits.MAX_PINNED_READ_BUFFERS;
  }

  /** A buffer with one holder, the caller. */
  take(): ReadBuffer {
    this.#out++;
    const buffer = this.#free.pop() ?? new ReadBuffer(this);
    buffer.hold();
    return buffer;
  }

  /** For ReadBuffer: its last holder let go. */
  put(buffer: ReadBuffer): void {
    this.#out--;
    if (this.#free.length < limits.MAX_PINNED_READ_BUFFERS) this.#free.push(buffer);
  }
}

/** Room for one frame: the header first, the payload behind it. */
export type FrameBuffer = Uint8Array;

const SMALL = HEADER_LENGTH + 16 * 1024;
const LARGE = HEADER_LENGTH + limits.MAX_DATA;

/**
 * Hands out frame buffers of two sizes: 16 KiB of payload for streams that say little, 256 KiB for
 * bulk. A buffer comes back when its frame is acknowledged.
 */
export class FrameBufferPool {
  #small: FrameBuffer[] = [];
  #large: FrameBuffer[] = [];

  take(size: "small" | "large"): FrameBuffer {
    return size === "small"
      ? this.#small.pop() ?? new Uint8Array(SMALL)
      : this.#large.pop() ?? new Uint8Array(LARGE);
  }

  put(buffer: FrameBuffer): void {
    if (buffer.length === SMALL) {
      if (this.#small.length < 64) this.#small.push(buffer);
    } else if (buffer.length === LARGE) {
      if (this.#large.length < limits.IN_FLIGHT / limits.MAX_DATA) this.#large.push(buffer);
    }
  }
}
