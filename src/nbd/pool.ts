/** Smallest buffer that is kept, bytes; smaller ones cost less to make than to keep. */
const LEAST = 4096;

/**
 * Buffers that are used again: a new one of 1 MiB has to be zeroed and collected. A buffer has its
 * owner's attention from `take` until `release`.
 */
export class BufferPool {
  readonly #keepBytes: number;
  readonly #free = new Map<number, ArrayBuffer[]>();
  #kept = 0;

  /** Keeps unused buffers of `keepBytes` bytes in all. */
  constructor(keepBytes: number) {
    this.#keepBytes = keepBytes;
  }

  /** A buffer of `length` bytes with any contents. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const size = sizeFor(length);
    const buffer = this.#free.get(size)?.pop();
    if (!buffer) return new Uint8Array(new ArrayBuffer(size), 0, length);
    this.#kept -= size;
    return new Uint8Array(buffer, 0, length);
  }

  /** Gives a buffer of `take` back; nobody may use it any more. */
  release(bytes: Uint8Array<ArrayBuffer>): void {
    const size = bytes.buffer.byteLength;
    if (size < LEAST || this.#kept + size > this.#keepBytes) return;
    const free = this.#free.get(size);
    if (free) free.push(bytes.buffer);
    else this.#free.set(size, [bytes.buffer]);
    this.#kept += size;
  }
}

/** The next power of 2, so that few sizes serve all. */
function sizeFor(length: number): number {
  return length < LEAST ? length : 2 ** Math.ceil(Math.log2(length));
}
