/**
 * Pools of reusable buffers: those that the connection is read into and those that frames are built
 * in.
 *
 * @module
 */
import * as limits from "../limits.ts";
import { HEADER_LENGTH } from "../wire/layout.ts";

/**
 * A buffer that the connection is read into, one read behind the other. It counts references: one of
 * its reader, and one for each piece that a stream has in it. When only the reader's is left it is
 * filled from its start again, which is still in the processor's cache.
 */
export class ReadBuffer {
  readonly #bytes = new Uint8Array(limits.READ_BUFFER);
  readonly #pool: ReadBufferPool;
  #used = 0;
  #references = 0;

  /** For the pool. */
  constructor(pool: ReadBufferPool) {
    this.#pool = pool;
  }

  /**
   * Retains the buffer and returns room to read into: the next `most` bytes, or the rest.
   *
   * @returns `undefined` when the rest is less than a read is worth.
   */
  reserve(most: number): Uint8Array | undefined {
    if (this.#references === 1) this.#used = 0;
    const from = this.#used;
    const left = this.#bytes.length - from;
    if (left < Math.min(most, limits.MIN_READ)) return undefined;
    this.#used += Math.min(most, left);
    this.retain();
    return from === 0 && most >= left ? this.#bytes : this.#bytes.subarray(from, this.#used);
  }

  /** Only `length` bytes of the room were needed; the rest is free unless more is reserved behind it. */
  giveBack(room: Uint8Array, length: number): void {
    const unused = room.length - length;
    if (room.byteOffset + room.length === this.#used) this.#used -= unused;
  }

  /** Adds a reference. */
  retain(): void {
    this.#references++;
  }

  /** Removes a reference; the last one puts the buffer back into its pool. */
  release(): void {
    if (--this.#references === 0) this.#pool.put(this);
  }
}

/** Lends read buffers and counts those that are in use. */
export class ReadBufferPool {
  readonly #mostPinned: number;
  #free: ReadBuffer[] = [];
  #out = 0;

  /** @param mostPinned read buffers that slow streams may pin. */
  constructor(mostPinned: number = limits.MAX_PINNED_READ_BUFFERS) {
    this.#mostPinned = mostPinned;
  }

  /** True while streams may pin another buffer instead of copying out of it. */
  get mayPin(): boolean {
    return this.#out <= this.#mostPinned;
  }

  /** A buffer with one reference, the caller's. */
  take(): ReadBuffer {
    this.#out++;
    const buffer = this.#free.pop() ?? new ReadBuffer(this);
    buffer.retain();
    return buffer;
  }

  /** For ReadBuffer: its last reference was released. */
  put(buffer: ReadBuffer): void {
    this.#out--;
    if (this.#free.length < this.#mostPinned) this.#free.push(buffer);
  }
}

/** Room for one frame: the header first, the payload behind it. */
export class FrameBuffer {
  /** Largest payload, bytes. */
  readonly room: number;
  readonly #bytes: Uint8Array;
  readonly #pool: FrameBufferPool;
  // Views that are used again, since most frames of a bulk stream have one length.
  #payload: Uint8Array;
  #frame: Uint8Array;

  /** For the pool. */
  constructor(room: number, pool: FrameBufferPool) {
    this.room = room;
    this.#pool = pool;
    this.#bytes = this.#frame = new Uint8Array(HEADER_LENGTH + room);
    this.#payload = this.#bytes.subarray(HEADER_LENGTH);
  }

  /** The first `most` bytes of the payload, or all of it. */
  payload(most: number): Uint8Array {
    const length = Math.min(most, this.room);
    if (this.#payload.length !== length) {
      this.#payload = this.#bytes.subarray(HEADER_LENGTH, HEADER_LENGTH + length);
    }
    return this.#payload;
  }

  /** The header and the first `length` bytes of the payload. */
  frame(length: number): Uint8Array {
    if (this.#frame.length !== HEADER_LENGTH + length) {
      this.#frame = this.#bytes.subarray(0, HEADER_LENGTH + length);
    }
    return this.#frame;
  }

  /** Puts the buffer back into its pool. */
  release(): void {
    this.#pool.put(this);
  }
}

/** Smallest payload of a frame buffer, bytes; each further size is twice as large. */
export const SMALLEST_ROOM: number = 16 * 1024;
/** Payload of the largest frame buffer, bytes. */
export const LARGEST_ROOM: number = limits.MAX_DATA;

/** Lends frame buffers. A buffer comes back when its frame is acknowledged. */
export class FrameBufferPool {
  /** By room. */
  readonly #free = new Map<number, FrameBuffer[]>();
  readonly #mostFree: number;
  /** Payloads of all free buffers, bytes. */
  #freeBytes = 0;

  /** @param mostFree payloads of all free buffers at most, bytes: what may be in flight. */
  constructor(mostFree: number = limits.IN_FLIGHT) {
    this.#mostFree = mostFree;
  }

  /** The smallest buffer with room for a payload of `length` bytes, {@link LARGEST_ROOM} at most. */
  take(length: number): FrameBuffer {
    let room = SMALLEST_ROOM;
    while (room < length) room *= 2;
    const buffer = this.#free.get(room)?.pop();
    if (buffer === undefined) return new FrameBuffer(room, this);
    this.#freeBytes -= room;
    return buffer;
  }

  /** For FrameBuffer: takes it back. */
  put(buffer: FrameBuffer): void {
    const { room } = buffer;
    if (this.#freeBytes + room > this.#mostFree) return;
    this.#freeBytes += room;
    const free = this.#free.get(room);
    if (free === undefined) this.#free.set(room, [buffer]);
    else free.push(buffer);
  }
}
