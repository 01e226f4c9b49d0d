import type { BytePipe } from "../../io/mod.ts";
import type { ReadBuffer, ReadBufferPool } from "./buffers.ts";
import * as limits from "../limits.ts";

/** Consecutive bytes of the connection, and the buffer in which they lie. */
export interface Run {
  /** The bytes are at its start. */
  readonly bytes: Uint8Array;
  /** How many they are. */
  readonly length: number;
  readonly buffer: ReadBuffer;
}

/** A read that is under way, or its outcome. */
class Slot {
  /** The room that it reads into, in a buffer that the slot has retained. */
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
 * Reads a connection into read buffers; the bytes are not moved afterwards. Where a read returns one
 * TLS record at most, several reads are under way at a time, each into its own part of a buffer: one
 * turn of the event loop then delivers several records, and consecutive ones become one run. Does not
 * own the pipe.
 */
export class ConnectionReader {
  readonly #pipe: BytePipe;
  readonly #pool: ReadBufferPool;
  /** Room of one read, bytes. */
  readonly #most: number;
  readonly #depth: number;
  /** The buffer that the next read goes into. */
  #buffer: ReadBuffer;
  /** Reads under way or not yet returned, in order. */
  readonly #slots: Slot[] = [];
  readonly #spare: Slot[] = [];
  /** The buffer of the run that was returned last. */
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
   * @returns a run that is valid until the next call, longer if the caller retains its buffer; `null`
   * at the end of the stream.
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
    // The end and errors stay in front, so that another call gets them again.
    if (first.error !== undefined) throw first.error;
    if (first.n === null) return null;
    return this.#takeRun();
  }

  /** Releases all buffers; those that are being read into as soon as their read ends. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#release();
    this.#buffer.release();
    for (const slot of this.#slots) if (slot.n !== undefined) slot.buffer!.release();
  }

  /** Room for a read; it retains the buffer that is in use now. */
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

  /** All that has come and is consecutive, beginning with the first read. */
  #takeRun(): Run {
    const { buffer, room } = this.#slots[0]!;
    let length = 0;
    for (let slot; (slot = this.#slots[0]) && slot.buffer === buffer;) {
      if (slot.n === undefined || slot.n === null) break;
      if (slot.room!.byteOffset !== room!.byteOffset + length) break;
      // One reference stays, for the run.
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
