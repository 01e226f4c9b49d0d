import type { BytePipe } from "../../io/mod.ts";
import type { ReadBuffer, ReadBufferPool } from "./buffers.ts";
import * as limits from "../limits.ts";

/** Bytes that came in one behind the other, and the buffer in which they lie. */
export interface Run {
  /** What came is at its start. */
  readonly bytes: Uint8Array;
  /** How many bytes of it came. */
  readonly length: number;
  readonly buffer: ReadBuffer;
}

/** A read that is under way, or its outcome. */
class Slot {
  /** What it reads into, held by the slot. */
  room: Uint8Array | undefined;
  buffer: ReadBuffer | undefined;
  /** Bytes read, `null` at the end of the stream; `undefined` while it is under way. */
  n: number | null | undefined;
  error: unknown;
  readonly onRead: (n: number | null) => void;
  readonly onError: (error: unknown) => void;

  constructor(settled: (slot: Slot) => void) {
    this.onRead = (n) => {
      this.n = n;
      settled(this);
    };
    this.onError = (error) => {
      this.n = null;
      this.error = error ?? new Error("The read failed");
      settled(this);
    };
  }
}

/**
 * Reads a connection into read buffers, whose bytes stay where they are. Where a read brings no more
 * than a record, several are under way at a time, each into its own part of a buffer: a turn of the
 * event loop then brings several records, and those that follow one another without a gap are one
 * run. The pipe stays its owner's.
 */
export class ConnectionReader {
  readonly #pipe: BytePipe;
  readonly #pool: ReadBufferPool;
  /** Bytes that one read asks for at most. */
  readonly #most: number;
  readonly #depth: number;
  /** The buffer that reads are asked into. */
  #buffer: ReadBuffer;
  /** The reads under way or not yet handed on, in order. */
  readonly #slots: Slot[] = [];
  readonly #spare: Slot[] = [];
  /** Where the run lies that was handed out last. */
  #handedOut: ReadBuffer | undefined;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(pipe: BytePipe, pool: ReadBufferPool) {
    this.#pipe = pipe;
    this.#pool = pool;
    this.#most = pipe.recordBytes ?? limits.READ_BUFFER;
    this.#depth = pipe.recordBytes === undefined ? 1 : limits.READS_AHEAD;
    this.#buffer = pool.take();
  }

  /**
   * Waits for the next bytes.
   *
   * @returns what came, which is the caller's until the next call, longer if it holds the buffer;
   * `null` at the end of the stream.
   * @throws {Error} when the connection failed.
   */
  next(): Promise<Run | null> {
    this.#release();
    return this.#depth === 1 ? this.#readOne() : this.#readAhead();
  }

  async #readOne(): Promise<Run | null> {
    const bytes = this.#reserve();
    const buffer = this.#buffer;
    let length: number | null = null;
    try {
      length = await this.#pipe.read(bytes);
    } finally {
      if (length === null || this.#closed) buffer.release();
    }
    if (length === null || this.#closed) return null;
    buffer.giveBack(bytes, length);
    this.#handedOut = buffer;
    return { bytes, length, buffer };
  }

  async #readAhead(): Promise<Run | null> {
    while (this.#slots.length < this.#depth) this.#ask();
    const first = this.#slots[0]!;
    if (first.n === undefined) await new Promise<void>((resolve) => this.#wake = resolve);
    // The end and errors stay in front: whoever reads again meets them again.
    if (first.error !== undefined) throw first.error;
    if (first.n === null) return null;
    return this.#takeRun();
  }

  /** Lets go of all buffers; of those that are being read into as soon as that is over. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#release();
    this.#buffer.release();
    for (const slot of this.#slots) if (slot.n !== undefined) slot.buffer!.release();
  }

  /** Room for a read, which holds the buffer that is in use now. */
  #reserve(): Uint8Array {
    let room: Uint8Array | undefined;
    while ((room = this.#buffer.reserve(this.#most)) === undefined) {
      this.#buffer.release();
      this.#buffer = this.#pool.take();
    }
    return room;
  }

  #ask(): void {
    const room = this.#reserve();
    const slot = this.#spare.pop() ?? new Slot((slot) => this.#settled(slot));
    slot.room = room;
    slot.buffer = this.#buffer;
    slot.n = undefined;
    this.#slots.push(slot);
    this.#pipe.read(room).then(slot.onRead, slot.onError);
  }

  #settled(slot: Slot): void {
    if (this.#closed) return slot.buffer!.release();
    if (slot !== this.#slots[0]) return;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** All that has come and lies in a row, of which the first read is some. */
  #takeRun(): Run {
    const { buffer, room } = this.#slots[0]!;
    let length = 0;
    for (let slot; (slot = this.#slots[0]) && slot.buffer === buffer;) {
      if (slot.n === undefined || slot.n === null) break;
      if (slot.room!.byteOffset !== room!.byteOffset + length) break;
      // One hold stays, for the run.
      if (slot.room !== room) buffer!.release();
      buffer!.giveBack(slot.room!, slot.n);
      length += slot.n;
      this.#spare.push(this.#slots.shift()!);
    }
    this.#handedOut = buffer;
    return {
      buffer: buffer!,
      length,
      bytes: new Uint8Array(room!.buffer, room!.byteOffset, length),
    };
  }

  #release(): void {
    this.#handedOut?.release();
    this.#handedOut = undefined;
  }
}
