import { type BytePipe, readFull, UnexpectedEndError } from "../io/mod.ts";

/** Enough for a request of 64 KiB and the next header in one read. */
const BUFFER_BYTES = 128 * 1024;

/**
 * Reads messages from a pipe: small ones from a buffer, so that one read brings many; long payloads
 * straight to their place. Does not own the pipe.
 */
export class Input {
  readonly #pipe: BytePipe;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #start = 0;
  #end = 0;

  constructor(pipe: BytePipe) {
    this.#pipe = pipe;
  }

  /**
   * The next `length` bytes, 64 KiB at most. They are valid until the next call.
   *
   * @returns `undefined` when the stream ends before the first of them.
   * @throws {UnexpectedEndError} when it ends after some of them.
   */
  async take(length: number): Promise<Uint8Array | undefined> {
    while (this.#end - this.#start < length) {
      if (!await this.#more()) {
        const got = this.#end - this.#start;
        if (got === 0) return undefined;
        throw new UnexpectedEndError(got, length);
      }
    }
    const bytes = this.#buffer.subarray(this.#start, this.#start + length);
    this.#start += length;
    return bytes;
  }

  /** Fills all of `into`; throws {@link UnexpectedEndError} when the stream ends before. */
  async fill(into: Uint8Array): Promise<void> {
    let done = this.#drain(into);
    while (into.length - done > 0 && into.length - done < BUFFER_BYTES / 2) {
      if (!await this.#more()) throw new UnexpectedEndError(done, into.length);
      done += this.#drain(into.subarray(done));
    }
    const rest = into.subarray(done);
    if (rest.length === 0 || await readFull(this.#pipe, rest)) return;
    throw new UnexpectedEndError(done, into.length);
  }

  /** Reads `length` bytes and drops them; throws as {@link fill}. */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0;) {
      if (this.#end === this.#start && !await this.#more()) {
        throw new UnexpectedEndError(length - left, length);
      }
      const n = Math.min(left, this.#end - this.#start);
      this.#start += n;
      left -= n;
    }
  }

  #drain(into: Uint8Array): number {
    const n = Math.min(into.length, this.#end - this.#start);
    into.set(this.#buffer.subarray(this.#start, this.#start + n));
    this.#start += n;
    return n;
  }

  /** Reads once; false at the end of the stream. */
  async #more(): Promise<boolean> {
    if (this.#start === this.#end) this.#start = this.#end = 0;
    // The rest of a message moves to the front, so that a whole one always fits.
    else if (this.#start > BUFFER_BYTES / 2) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      [this.#start, this.#end] = [0, this.#end - this.#start];
    }
    const n = await this.#pipe.read(this.#buffer.subarray(this.#end));
    if (n === null) return false;
    this.#end += n;
    return true;
  }
}
