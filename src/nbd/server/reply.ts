/**
 * A server's replies (proto.md, "Simple reply message", "Structured reply chunk message"). Each is a
 * list of parts to be sent one after the other. Pure.
 *
 * @module
 */
import { setU64, view } from "../bytes.ts";
import type { BlockExtent, ByteRange } from "../device.ts";
import type { NbdDeviceError } from "../errors.ts";
import type { Cookie, Request } from "../request.ts";
import * as wire from "../wire.ts";

/** A reply without data. `error` is 0 for success. */
export function simpleReply(cookie: Cookie, error: number): Uint8Array {
  const reply = new Uint8Array(wire.SIMPLE_REPLY_BYTES);
  const numbers = view(reply);
  numbers.setUint32(0, wire.SIMPLE_REPLY_MAGIC);
  numbers.setUint32(4, error);
  numbers.setUint32(8, cookie.high);
  numbers.setUint32(12, cookie.low);
  return reply;
}

/** The head of a chunk, with room for the `fixed` bytes that its payload of `length` begins with. */
function chunk(
  cookie: Cookie,
  type: number,
  length: number,
  { isLast = true, fixed = length } = {},
): DataView<ArrayBuffer> {
  const numbers = new DataView(new ArrayBuffer(wire.CHUNK_BYTES + fixed));
  numbers.setUint32(0, wire.STRUCTURED_REPLY_MAGIC);
  numbers.setUint16(4, isLast ? wire.REPLY_FLAG_DONE : 0);
  numbers.setUint16(6, type);
  numbers.setUint32(8, cookie.high);
  numbers.setUint32(12, cookie.low);
  numbers.setUint32(16, length);
  return numbers;
}

const bytesOf = (numbers: DataView<ArrayBuffer>) => new Uint8Array(numbers.buffer);

/** The reply to a failed request, with the message for people if the client can take one. */
export function errorReply(
  { cookie }: Pick<Request, "cookie">,
  error: NbdDeviceError,
  structured: boolean,
): Uint8Array {
  const errno = wire.ERRORS[error.errno];
  if (!structured) return simpleReply(cookie, errno);
  const message = new TextEncoder().encode(error.message).subarray(0, MAX_MESSAGE);
  const numbers = chunk(cookie, wire.REPLY_ERROR, 6 + message.length);
  numbers.setUint32(wire.CHUNK_BYTES, errno);
  numbers.setUint16(wire.CHUNK_BYTES + 4, message.length);
  bytesOf(numbers).set(message, wire.CHUNK_BYTES + 6);
  return bytesOf(numbers);
}

/** Longest message of an error, bytes; a cut one may end inside a character. */
const MAX_MESSAGE = 1024;

/**
 * The chunks of a successful read: data, and holes without their zeroes.
 *
 * @param holes sorted and inside the read; none for a read that must not be fragmented.
 */
export function readChunks(
  { cookie, offset }: Pick<Request, "cookie" | "offset">,
  data: Uint8Array,
  holes: readonly ByteRange[],
): Uint8Array[] {
  if (data.length === 0) return [bytesOf(chunk(cookie, wire.REPLY_NONE, 0))];
  const parts: Uint8Array[] = [];
  const end = offset + data.length;
  const addData = (from: number, to: number) => {
    if (to <= from) return;
    const length = 8 + to - from;
    const numbers = chunk(cookie, wire.REPLY_OFFSET_DATA, length, { isLast: to === end, fixed: 8 });
    setU64(numbers, wire.CHUNK_BYTES, from);
    parts.push(bytesOf(numbers), data.subarray(from - offset, to - offset));
  };
  let at = offset;
  for (const hole of holes) {
    addData(at, hole.offset);
    at = hole.offset + hole.length;
    const numbers = chunk(cookie, wire.REPLY_OFFSET_HOLE, 12, { isLast: at === end });
    setU64(numbers, wire.CHUNK_BYTES, hole.offset);
    numbers.setUint32(wire.CHUNK_BYTES + 8, hole.length);
    parts.push(bytesOf(numbers));
  }
  addData(at, end);
  return parts;
}

/** Extents of one reply: proto.md allows 2^20, a client asks again anyhow. */
const MAX_EXTENTS = 1 << 14;

/**
 * The chunk of a successful block status. Adjacent extents of the same kind are joined; with `one` there
 * is only the first, cut to the request.
 *
 * @returns `undefined` when there is no extent, which proto.md forbids.
 */
export function statusChunk(
  { cookie, length: asked }: Pick<Request, "cookie" | "length">,
  contextId: number,
  extents: readonly BlockExtent[],
  one: boolean,
): Uint8Array | undefined {
  const found: { length: number; readonly flags: number }[] = [];
  let described = 0;
  for (const { length, hole, zero } of extents) {
    if (described >= asked || found.length === MAX_EXTENTS) break;
    if (length <= 0) continue;
    const flags = (hole ? wire.STATE_HOLE : 0) | (zero ? wire.STATE_ZERO : 0);
    const last = found.at(-1);
    if (last?.flags === flags) last.length += length;
    else found.push({ length, flags });
    described += length;
  }
  // The last one may extend beyond the request, but it would be of no use here.
  if (found.length > 0 && described > asked) found.at(-1)!.length -= described - asked;
  if (one) found.splice(1);
  if (found.length === 0) return undefined;
  const numbers = chunk(cookie, wire.REPLY_BLOCK_STATUS, 4 + 8 * found.length);
  numbers.setUint32(wire.CHUNK_BYTES, contextId);
  for (const [i, { length, flags }] of found.entries()) {
    numbers.setUint32(wire.CHUNK_BYTES + 4 + 8 * i, length);
    numbers.setUint32(wire.CHUNK_BYTES + 8 + 8 * i, flags);
  }
  return bytesOf(numbers);
}
