import type { ReadBuffer } from "../connection/buffers.ts";
import * as limits from "../limits.ts";

/** Received bytes of a stream; return them with `consume` when they are used up. */
export interface Piece {
  /** The bytes. */
  readonly bytes: Uint8Array;
  /** The buffer in which they lie, retained until `consume`; `undefined`: in memory of their own. */
  readonly buffer: ReadBuffer | undefined;
}

/** The pieces that wait for a stream's reader. Retains the read buffers in which they lie. */
export class PieceQueue {
  #pieces: Piece[] = [];
  /** Where small pieces are gathered while nobody reads them. */
  #chunk: Uint8Array | undefined;
  #chunkUsed = 0;

  /** Takes the first piece, with its reference to the buffer; `undefined` when there is none. */
  shift(): Piece | undefined {
    return this.#pieces.shift();
  }

  /** Puts back the rest of the piece that was taken last, with its reference to the buffer. */
  unshift(piece: Piece): void {
    this.#pieces.unshift(piece);
  }

  /** Adds bytes that stay in `buffer`; extends the last piece if they follow it there. */
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

  /** Adds bytes in memory that nothing else uses. */
  keep(bytes: Uint8Array): void {
    this.#pieces.push({ bytes, buffer: undefined });
  }

  /** Drops all pieces. */
  clear(): void {
    for (const piece of this.#pieces) piece.buffer?.release();
    this.#pieces = [];
  }

  /** Merges small pieces: a peer that sends single bytes must not cost an object for each. */
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

  /** Copies the bytes; with room for more behind them where other pieces wait already. */
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
