/**
 * The request message, and the rules for one (proto.md, "Request message", "Request types", "Size
 * constraints"). Both sides use them: a server to answer, a client to send nothing that is wrong.
 *
 * @module
 */
import { setU64, u64, view } from "./bytes.ts";
import type { Abilities, BlockDevice, BlockSize } from "./device.ts";
import { NbdDeviceError, type NbdErrno } from "./errors.ts";
import * as wire from "./wire.ts";

/** A request. Offset and length in bytes. */
export interface Request {
  readonly flags: number;
  readonly type: number;
  /** Opaque, both halves of the 64 bits. */
  readonly cookie: Cookie;
  /** Infinity when it is over 2^53. */
  readonly offset: number;
  readonly length: number;
}

/** 64 bits that a reply repeats. */
export interface Cookie {
  readonly high: number;
  readonly low: number;
}

/** Encodes a request, without the data of a write. */
export function encodeRequest(request: Request): Uint8Array {
  const message = new Uint8Array(wire.REQUEST_BYTES);
  const numbers = view(message);
  numbers.setUint32(0, wire.REQUEST_MAGIC);
  numbers.setUint16(4, request.flags);
  numbers.setUint16(6, request.type);
  numbers.setUint32(8, request.cookie.high);
  numbers.setUint32(12, request.cookie.low);
  setU64(numbers, 16, request.offset);
  numbers.setUint32(24, request.length);
  return message;
}

/** Decodes a request; `undefined` without its magic number. */
export function decodeRequest(message: Uint8Array): Request | undefined {
  const numbers = view(message);
  if (numbers.getUint32(0) !== wire.REQUEST_MAGIC) return undefined;
  return {
    flags: numbers.getUint16(4),
    type: numbers.getUint16(6),
    cookie: { high: numbers.getUint32(8), low: numbers.getUint32(12) },
    offset: u64(numbers, 16),
    length: numbers.getUint32(24),
  };
}

/** What an export allows. */
export type Export = Pick<BlockDevice, "sizeBytes" | "readOnly" | "blockSize" | "can">;

/** What the negotiation allows besides. */
export interface Negotiated {
  /** Structured replies, and with them NBD_CMD_FLAG_DF. */
  readonly structured: boolean;
  /** At least one metadata context was set. */
  readonly context: boolean;
}

interface Rule {
  readonly name: string;
  /** Flags besides FUA. */
  readonly flags: number;
  /** The ability without which there is no such command. */
  readonly needs?: keyof Abilities;
  readonly writes: boolean;
}

const RULES: ReadonlyMap<number, Rule> = new Map([
  [wire.CMD_READ, { name: "read", flags: wire.CMD_FLAG_DF, writes: false }],
  [wire.CMD_WRITE, { name: "write", flags: 0, writes: true }],
  [wire.CMD_FLUSH, { name: "flush", flags: 0, needs: "flush", writes: false }],
  [wire.CMD_TRIM, { name: "trim", flags: 0, needs: "trim", writes: true }],
  [wire.CMD_CACHE, { name: "cache", flags: 0, needs: "cache", writes: false }],
  [wire.CMD_WRITE_ZEROES, {
    name: "write zeroes",
    flags: wire.CMD_FLAG_NO_HOLE | wire.CMD_FLAG_FAST_ZERO,
    needs: "writeZeroes",
    writes: true,
  }],
  [wire.CMD_BLOCK_STATUS, { name: "block status", flags: wire.CMD_FLAG_REQ_ONE, writes: false }],
]);

/**
 * Checks a request, but not for the end of the transmission (NBD_CMD_DISC).
 *
 * @returns the error that refuses it, or `undefined` for a correct one.
 */
export function fault(
  request: Omit<Request, "cookie">,
  of: Export,
  negotiated: Negotiated,
): NbdDeviceError | undefined {
  const refuse = (errno: NbdErrno, why: string) => new NbdDeviceError(errno, why);
  const { type, flags, offset, length } = request;
  const rule = RULES.get(type);
  if (!rule) return refuse("EINVAL", `Command ${type} is not known`);
  if (rule.needs && !of.can[rule.needs]) {
    return refuse("EINVAL", `The export does not support ${rule.name}`);
  }
  if (type === wire.CMD_BLOCK_STATUS && !negotiated.context) {
    return refuse("EINVAL", "No metadata context was selected for block status");
  }
  const wrong = flags & ~allowedFlags(rule, of.can, negotiated);
  if (wrong !== 0) {
    return refuse("EINVAL", `Flags 0x${wrong.toString(16)} are not allowed for ${rule.name}`);
  }
  if (rule.writes && of.readOnly) return refuse("EPERM", "The export is read-only");
  if (type === wire.CMD_FLUSH) {
    if (offset === 0 && length === 0) return undefined;
    return refuse("EINVAL", "Got a flush with an offset or a length, expected 0");
  }
  if (offset + length > of.sizeBytes) {
    const isFull = type === wire.CMD_WRITE || type === wire.CMD_WRITE_ZEROES;
    return refuse(
      isFull ? "ENOSPC" : "EINVAL",
      `Got a ${rule.name} of ${length} bytes at ${offset}, but the export has ${of.sizeBytes} bytes`,
    );
  }
  if (length === 0 && type === wire.CMD_BLOCK_STATUS) {
    return refuse("EINVAL", "Got a block status of 0 bytes");
  }
  if (!isAligned(offset, length, of.blockSize)) {
    return refuse(
      "EINVAL",
      `Got a ${rule.name} of ${length} bytes at ${offset}, expected multiples of ` +
        `${of.blockSize.minimum} bytes`,
    );
  }
  if (length > wire.MAX_PAYLOAD && (type === wire.CMD_READ || type === wire.CMD_WRITE)) {
    // EOVERFLOW is only for clients that know structured replies.
    const errno = type === wire.CMD_READ && negotiated.structured ? "EOVERFLOW" : "EINVAL";
    return refuse(errno, `Got a ${rule.name} of ${length} bytes, expected 32 MiB at most`);
  }
  return undefined;
}

function allowedFlags(rule: Rule, can: Abilities, { structured }: Negotiated): number {
  let allowed = rule.flags;
  // "The server MUST accept all commands with this bit set".
  if (can.fua) allowed |= wire.CMD_FLAG_FUA;
  if (!structured) allowed &= ~wire.CMD_FLAG_DF;
  if (!can.fastZero) allowed &= ~wire.CMD_FLAG_FAST_ZERO;
  return allowed;
}

function isAligned(offset: number, length: number, { minimum }: BlockSize): boolean {
  return offset % minimum === 0 && length % minimum === 0;
}
