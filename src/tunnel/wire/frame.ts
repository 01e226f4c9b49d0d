/**
 * Frames from and to bytes. Pure: no sockets, no timers.
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";
import * as limits from "../limits.ts";
import * as wire from "./layout.ts";
import { getU32, putU32 } from "./numbers.ts";

/** The fixed part of a frame, 12 bytes on the wire (docs/tunnel-protocol.md, section 2). */
export interface FrameHeader {
  /** Bytes of payload. */
  readonly length: number;
  /** One of the frame types of layout.ts, such as {@link wire.DATA}. */
  readonly type: number;
  /** Such as {@link wire.FLAG_FIN}. */
  readonly flags: number;
  /** Stream id; 0 for the session and its RPC. */
  readonly stream: number;
}

/** Writes a header into the first 12 bytes of `frame`. */
export function putHeader(
  frame: Uint8Array,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  putU32(frame, 0, length);
  frame[4] = type;
  frame[5] = flags;
  frame[6] = 0;
  frame[7] = 0;
  putU32(frame, 8, stream);
}

/** Makes a whole frame of a payload. */
export function frameOf(type: number, stream: number, payload: Uint8Array, flags = 0): Uint8Array {
  const frame = new Uint8Array(wire.HEADER_LENGTH + payload.length);
  putHeader(frame, payload.length, type, flags, stream);
  frame.set(payload, wire.HEADER_LENGTH);
  return frame;
}

/** Makes a frame whose payload is one u64: ACK and CREDIT. */
export function u64Frame(type: number, stream: number, value: number): Uint8Array {
  const frame = new Uint8Array(wire.HEADER_LENGTH + 8);
  putHeader(frame, 8, type, 0, stream);
  putU64(frame, wire.HEADER_LENGTH, value);
  return frame;
}

/** Makes a GOAWAY or REFUSE: a code and a reason, which is cut to {@link limits.MAX_REASON} bytes. */
export function codeFrame(type: number, code: number, reason: string): Uint8Array {
  const text = reasonBytes(reason);
  const payload = new Uint8Array(2 + text.length);
  new DataView(payload.buffer).setUint16(0, code);
  payload.set(text, 2);
  return frameOf(type, 0, payload);
}

/** Makes a RESET. */
export function resetFrame(
  stream: number,
  code: number,
  finalOffset: number,
  reason: string,
): Uint8Array {
  const text = reasonBytes(reason);
  const payload = new Uint8Array(wire.REASON_OFFSET_IN_RESET + text.length);
  new DataView(payload.buffer).setUint16(0, code);
  putU64(payload, wire.OFFSET_IN_RESET, finalOffset);
  payload.set(text, wire.REASON_OFFSET_IN_RESET);
  return frameOf(wire.RESET, stream, payload);
}

/** Writes a safe integer as u64. */
export function putU64(into: Uint8Array, at: number, value: number): void {
  putU32(into, at, Math.floor(value / 2 ** 32));
  putU32(into, at + 4, value >>> 0);
}

/**
 * Reads a u64 that must be a safe integer.
 *
 * @throws {ProtocolError} when it is 2^53 or more.
 */
export function getU64(from: Uint8Array, at: number): number {
  const value = getU32(from, at) * 2 ** 32 + getU32(from, at + 4);
  if (!Number.isSafeInteger(value)) {
    throw new ProtocolError(`Got a count of 2^53 or more where bytes are counted`);
  }
  return value;
}

/** A reason as bytes, cut at a character so that it fits MAX_REASON. */
function reasonBytes(reason: string): Uint8Array {
  const into = new Uint8Array(limits.MAX_REASON);
  const { written } = new TextEncoder().encodeInto(reason, into);
  return into.subarray(0, written);
}

/** Length of the payload, flags and stream ids that each type may have. */
const RULES: Readonly<
  Record<number, { min: number; max: number; flags: number; stream: "zero" | "any" | "not-zero" }>
> = {
  [wire.HELLO]: rule(wire.HELLO_LENGTH),
  [wire.AUTH]: rule(wire.CREDENTIAL_LENGTH),
  [wire.RESUME]: rule(wire.RESUME_LENGTH),
  [wire.RESUMED]: rule(wire.RESUMED_LENGTH),
  [wire.REFUSE]: { min: 2, max: 2 + limits.MAX_REASON, flags: 0, stream: "zero" },
  [wire.ACK]: rule(8),
  [wire.PING]: { ...rule(8), flags: wire.FLAG_SOON },
  [wire.PONG]: rule(8),
  [wire.DATA]: {
    min: 0,
    max: limits.MAX_DATA,
    flags: wire.FLAG_FIN | wire.FLAG_COMPRESSED,
    stream: "any",
  },
  [wire.CREDIT]: { min: 8, max: 8, flags: 0, stream: "any" },
  [wire.RESET]: {
    min: wire.REASON_OFFSET_IN_RESET,
    max: wire.REASON_OFFSET_IN_RESET + limits.MAX_REASON,
    flags: 0,
    stream: "not-zero",
  },
  [wire.GOAWAY]: { min: 2, max: 2 + limits.MAX_REASON, flags: 0, stream: "zero" },
};

function rule(length: number) {
  return { min: length, max: length, flags: 0, stream: "zero" } as const;
}

/**
 * Reads the header at `at` and checks it by the rules of its type.
 *
 * @throws {ProtocolError} naming the fault. It is thrown before anything is allocated, so that a
 * false length costs nothing.
 *
 * @example
 * ```ts
 * import { assertEquals, assertThrows } from "@std/assert";
 * import { ProtocolError } from "../errors.ts";
 * import * as wire from "./layout.ts";
 *
 * const frame = u64Frame(wire.ACK, 0, 1234);
 * assertEquals(parseHeader(frame), { length: 8, type: wire.ACK, flags: 0, stream: 0 });
 * frame[4] = 99;
 * assertThrows(() => parseHeader(frame), ProtocolError, "unknown type 99");
 * ```
 */
export function parseHeader(bytes: Uint8Array, at = 0): FrameHeader {
  const header = {
    length: getU32(bytes, at),
    type: bytes[at + 4]!,
    flags: bytes[at + 5]!,
    stream: getU32(bytes, at + 8),
  };
  const reserved = bytes[at + 6]! << 8 | bytes[at + 7]!;
  const expected = RULES[header.type];
  if (!expected) throw new ProtocolError(`Got a frame of unknown type ${header.type}`);
  if (header.length < expected.min || header.length > expected.max) {
    const range = expected.min === expected.max
      ? `${expected.min}`
      : `${expected.min} to ${expected.max}`;
    throw new ProtocolError(
      `Got a frame of type ${header.type} with ${header.length} bytes, expected ${range}`,
    );
  }
  if ((header.flags & ~expected.flags) !== 0) {
    throw new ProtocolError(`Got a frame of type ${header.type} with flags ${header.flags}`);
  }
  if (reserved !== 0) {
    throw new ProtocolError(`Got a frame whose reserved bits are ${reserved}, expected 0`);
  }
  if (expected.stream === "zero" && header.stream !== 0) {
    throw new ProtocolError(`Got a frame of type ${header.type} on stream ${header.stream}`);
  }
  if (expected.stream === "not-zero" && header.stream === 0) {
    throw new ProtocolError(`Got a frame of type ${header.type} on stream 0`);
  }
  return header;
}

/** Takes the frames of a parser. */
export interface FrameSink {
  /** A DATA frame begins. */
  dataBegin(header: FrameHeader): void;
  /** A part of its payload; `bytes` is a view into the pushed bytes. May be called many times. */
  dataPiece(header: FrameHeader, bytes: Uint8Array): void;
  /** The DATA frame is complete. */
  dataEnd(header: FrameHeader): void;
  /** Any other frame, whole; `payload` is valid during the call only. */
  control(header: FrameHeader, payload: Uint8Array): void;
}

/**
 * Cuts a byte stream into frames. DATA payloads are passed on in the pieces in which they came,
 * without a copy; all other payloads are small and passed on whole.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import * as wire from "./layout.ts";
 *
 * const seen: string[] = [];
 * const parser = new FrameParser({
 *   dataBegin: ({ stream, length }) => seen.push(`DATA ${stream}, ${length} bytes`),
 *   dataPiece: (_, bytes) => seen.push(`piece of ${bytes.length}`),
 *   dataEnd: () => seen.push("end"),
 *   control: ({ type }, payload) => seen.push(`type ${type}: ${getU64(payload, 0)}`),
 * });
 * const data = frameOf(wire.DATA, 1, new Uint8Array(5));
 * parser.push(data.subarray(0, 14));
 * parser.push(data.subarray(14));
 * parser.push(u64Frame(wire.CREDIT, 1, 65536));
 * assertEquals(seen, ["DATA 1, 5 bytes", "piece of 2", "piece of 3", "end", "type 17: 65536"]);
 * assertEquals(parser.atBoundary, true);
 * ```
 */
export class FrameParser {
  readonly #sink: FrameSink;
  readonly #head = new Uint8Array(wire.HEADER_LENGTH);
  #headLength = 0;
  #header: FrameHeader | undefined;
  #left = 0;
  readonly #control = new Uint8Array(limits.MAX_CONTROL);
  #controlLength = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** True between two frames, where a stream may end. */
  get atBoundary(): boolean {
    return this.#header === undefined && this.#headLength === 0;
  }

  /**
   * Takes the first `length` bytes, which may end anywhere in a frame.
   *
   * @throws {ProtocolError} when a header breaks the rules; do not use the parser afterwards.
   */
  push(bytes: Uint8Array, length = bytes.length): void {
    let at = 0;
    while (at < length) {
      if (this.#header === undefined) {
        if (this.#headLength === 0 && length - at >= wire.HEADER_LENGTH) {
          this.#begin(parseHeader(bytes, at));
          at += wire.HEADER_LENGTH;
          continue;
        }
        const n = Math.min(wire.HEADER_LENGTH - this.#headLength, length - at);
        this.#head.set(bytes.subarray(at, at + n), this.#headLength);
        this.#headLength += n;
        at += n;
        if (this.#headLength < wire.HEADER_LENGTH) return;
        this.#headLength = 0;
        this.#begin(parseHeader(this.#head));
        continue;
      }
      const n = Math.min(this.#left, length - at);
      const piece = bytes.subarray(at, at + n);
      at += n;
      this.#left -= n;
      if (this.#header.type === wire.DATA) {
        this.#sink.dataPiece(this.#header, piece);
      } else {
        this.#control.set(piece, this.#controlLength);
        this.#controlLength += n;
      }
      if (this.#left === 0) this.#end();
    }
  }

  #begin(header: FrameHeader): void {
    this.#header = header;
    this.#left = header.length;
    this.#controlLength = 0;
    if (header.type === wire.DATA) this.#sink.dataBegin(header);
    if (header.length === 0) this.#end();
  }

  #end(): void {
    const header = this.#header!;
    this.#header = undefined;
    if (header.type === wire.DATA) this.#sink.dataEnd(header);
    else this.#sink.control(header, this.#control.subarray(0, this.#controlLength));
  }
}
