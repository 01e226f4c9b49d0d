/**
 * Frames that were sent and not acknowledged, in sequence (docs/tunnel-protocol.md, section 6). A
 * frame's buffer is its replay entry; nothing is copied.
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";
import type { OutFrame } from "./out_frame.ts";

/** The replay buffer of a session. Offsets are session offsets, bytes. */
export class ReplayBuffer {
  readonly #keeps: boolean;
  #entries: OutFrame[] = [];
  /** Index of the first entry that is kept; entries before it are released. */
  #first = 0;
  /** Index of the next entry to put on the connection. */
  #next = 0;
  #acked = 0;
  #end = 0;

  /** @param keeps false where nothing is ever sent again: a frame is released once it was written. */
  constructor(keeps = true) {
    this.#keeps = keeps;
  }

  /** The peer has acknowledged everything below this offset. */
  get acked(): number {
    return this.#acked;
  }

  /** Offset after the last frame taken for sending. */
  get end(): number {
    return this.#end;
  }

  /** Bytes sent and not acknowledged. */
  get inFlight(): number {
    return this.#end - this.#acked;
  }

  /** True while there are frames to write to the connection. */
  get hasNext(): boolean {
    return this.#next < this.#entries.length;
  }

  /** Adds a frame, and releases it once it is not needed any more. */
  push(frame: OutFrame): void {
    this.#end += frame.bytes.length;
    frame.end = this.#end;
    this.#entries.push(frame);
  }

  /** The next frame to write to the connection; those taken before are written by now. */
  takeNext(): Uint8Array | undefined {
    if (!this.#keeps && this.#next > this.#first) this.#entries[this.#next - 1]!.release();
    const entry = this.#entries[this.#next];
    if (entry) this.#next++;
    return entry?.bytes;
  }

  /**
   * The peer acknowledges everything below `offset`.
   *
   * @returns true when that released frames.
   * @throws {ProtocolError} when `offset` is past what was sent or not at a frame's end.
   */
  ack(offset: number): boolean {
    if (offset <= this.#acked) return false;
    if (offset > this.#sentEnd()) {
      throw new ProtocolError(
        `Got an acknowledgement of ${offset} bytes; only ${this.#sentEnd()} were sent`,
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
   * A new connection: the peer has `received` bytes; everything after them is sent again.
   *
   * @throws {ProtocolError} when that is less than was acknowledged, more than was sent, or inside a
   * frame; the session is over then.
   */
  rewind(received: number): void {
    if (received < this.#acked) {
      throw new ProtocolError(
        `The other end asks for bytes from ${received} on; it has acknowledged ${this.#acked}`,
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
