/**
 * What was sent and not yet acknowledged, in the order it was taken for sending. A frame's buffer
 * is its replay entry; nothing is copied.
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";
import type { OutFrame } from "./out_frame.ts";

/** The sending side's memory of a session. Offsets are session offsets, bytes. */
export class ReplayBuffer {
  readonly #keeps: boolean;
  #entries: OutFrame[] = [];
  /** Index of the first entry still held; entries before it are gone. */
  #first = 0;
  /** Index of the next entry to put on the connection. */
  #next = 0;
  #acked = 0;
  #end = 0;

  /** @param keeps false where nothing is ever sent again: a buffer is free once it was written. */
  constructor(keeps = true) {
    this.#keeps = keeps;
  }

  /** Everything below this offset is at the peer. */
  get acked(): number {
    return this.#acked;
  }

  /** Offset after the last frame taken for sending. */
  get end(): number {
    return this.#end;
  }

  /** Bytes sent, or to be sent again, and not acknowledged. */
  get inFlight(): number {
    return this.#end - this.#acked;
  }

  /** True while there are frames to be put on the connection. */
  get hasNext(): boolean {
    return this.#next < this.#entries.length;
  }

  /** Adds a frame, whose buffer it lets go of once it is not needed any more. */
  push(frame: OutFrame): void {
    this.#end += frame.bytes.length;
    frame.end = this.#end;
    this.#entries.push(frame);
  }

  /** The next frame to put on the connection; those taken before have been written by then. */
  takeNext(): Uint8Array | undefined {
    if (!this.#keeps && this.#next > this.#first) this.#entries[this.#next - 1]!.release();
    const entry = this.#entries[this.#next];
    if (entry) this.#next++;
    return entry?.bytes;
  }

  /**
   * The peer has everything below `offset`.
   *
   * @returns true when that freed something.
   * @throws {ProtocolError} when `offset` is past what was sent or not at a frame's end.
   */
  ack(offset: number): boolean {
    if (offset <= this.#acked) return false;
    if (offset > this.#sentEnd()) {
      throw new ProtocolError(
        `Got an acknowledgement of ${offset} bytes, but only ${this.#sentEnd()} were sent`,
      );
    }
    let entry: OutFrame | undefined;
    while ((entry = this.#entries[this.#first]) && entry.end <= offset) {
      this.#acked = entry.end;
      this.#first++;
      entry.release();
    }
    if (this.#acked !== offset) {
      throw new ProtocolError(`Got an acknowledgement of ${offset} bytes, inside a frame`);
    }
    this.#compact();
    return true;
  }

  /**
   * A new connection: the peer has `received` bytes; everything after them goes out again.
   *
   * @throws {ProtocolError} when that is less than is still held, more than was sent, or inside a
   * frame; the session can't go on then.
   */
  rewind(received: number): void {
    if (received < this.#acked) {
      throw new ProtocolError(
        `The other end asks for bytes from ${received} on, but acknowledged ${this.#acked} before`,
      );
    }
    this.ack(received);
    this.#next = this.#first;
  }

  #sentEnd(): number {
    return this.#next > this.#first ? this.#entries[this.#next - 1]!.end : this.#acked;
  }

  #compact(): void {
    if (this.#first < 64 && this.#first < this.#entries.length) return;
    this.#entries.splice(0, this.#first);
    this.#next -= this.#first;
    this.#first = 0;
  }
}
