import type { ReadBuffer } from "../connection/buffers.ts";
import * as limits from "../limits.ts";

/** A piece of what came in on a stream; it goes back with `consume` when its bytes are used up. */
export interface Piece {
  readonly bytes: Uint8Array;
  /** Where the bytes lie, held until the piece is used up; `undefined`: in memory of their own. */
  readonly buffer: ReadBuffer | undefined;
}

/** The pieces that wait for a stream's reader. Holds the read buffers they lie in. */
export class PieceQueue {
  #pieces: Piece[] = [];
  /** Where small pieces that nobody reads yet are gathered. */
  #chunk: Uint8Array | undefined;
  #chunkUsed = 0;

  /** The first piece, with its hold on the buffer; `undefined` when there is none. */
  shift(): Piece | undefined {
    return this.#pieces.shift();
  }

  /** Puts back what is left of the piece that was taken last, with its hold on the buffer. */
  unshift(piece: Piece): void {
    this.#pieces.unshift(piece);
  }

  /** Adds bytes that stay where they are, in `buffer`; to the last piece where they follow it. */
  pin(bytes: Uint8Array, buffer: ReadBuffer): void {
    const last = this.#pieces.length === 0 ? undefined : this.#pieces[this.#pieces.length - 1];
    if (last?.buffer === buffer && endOf(last.bytes) === bytes.byteOffset) {
      const { byteOffset } = last.bytes;
      const whole = new Uint8Array(bytes.buffer, byteOffset, endOf(bytes) - byteOffset);
      this.#pieces[this.#pieces.length - 1] = { bytes: whole, buffer };
      return;
    }
    buffer.retain();
    this.#pieces.push({ bytes, buffer });
  }

  /** Adds a copy of the bytes. */
  copy(bytes: Uint8Array): void {
    if (this.#appendToLast(bytes)) return;
    this.#pieces.push({ bytes: this.#copied(bytes), buffer: undefined });
  }

  /** Lets go of all pieces. */
  clear(): void {
    for (const piece of this.#pieces) piece.buffer?.release();
    this.#pieces = [];
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
}

function endOf(bytes: Uint8Array): number {
  return bytes.byteOffset + bytes.length;
}
