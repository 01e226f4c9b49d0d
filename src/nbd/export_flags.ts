/**
 * Transmission flags and size constraints of an export (proto.md, "Transmission flags", "Size
 * constraints").
 *
 * @module
 */
import { view } from "./bytes.ts";
import type { Abilities, BlockDevice, BlockSize } from "./device.ts";
import { NbdError } from "./errors.ts";
import * as wire from "./wire.ts";

const FLAG_OF: Readonly<Record<Exclude<keyof Abilities, "blockStatus">, number>> = {
  flush: wire.FLAG_SEND_FLUSH,
  fua: wire.FLAG_SEND_FUA,
  trim: wire.FLAG_SEND_TRIM,
  writeZeroes: wire.FLAG_SEND_WRITE_ZEROES,
  fastZero: wire.FLAG_SEND_FAST_ZERO,
  cache: wire.FLAG_SEND_CACHE,
  multiConn: wire.FLAG_CAN_MULTI_CONN,
};
const NAMES = Object.keys(FLAG_OF) as (keyof typeof FLAG_OF)[];

/** The transmission flags of a device. `structured`: the client has negotiated structured replies. */
export function flagsOf(
  { can, readOnly }: Pick<BlockDevice, "can" | "readOnly">,
  structured: boolean,
): number {
  let flags = wire.FLAG_HAS_FLAGS;
  if (readOnly) flags |= wire.FLAG_READ_ONLY;
  if (structured) flags |= wire.FLAG_SEND_DF;
  for (const name of NAMES) if (can[name]) flags |= FLAG_OF[name];
  // "MUST be 0 if NBD_FLAG_SEND_WRITE_ZEROES is not set".
  return can.writeZeroes ? flags : flags & ~wire.FLAG_SEND_FAST_ZERO;
}

/** The abilities that transmission flags stand for; unknown flags are ignored. */
export function abilitiesOf(flags: number, blockStatus: boolean): Abilities {
  const has = (name: keyof typeof FLAG_OF) => (flags & FLAG_OF[name]) !== 0;
  return {
    flush: has("flush"),
    fua: has("fua"),
    trim: has("trim"),
    writeZeroes: has("writeZeroes"),
    fastZero: has("writeZeroes") && has("fastZero"),
    cache: has("cache"),
    multiConn: has("multiConn"),
    blockStatus,
  };
}

/** For a server that does not describe its sizes. Of the minimum, proto.md advises a client 512. */
export const DEFAULT_BLOCK_SIZE: BlockSize = {
  minimum: 1,
  preferred: wire.DEFAULT_PREFERRED_BLOCK,
  maximum: wire.MAX_PAYLOAD,
};

/** Encodes an NBD_INFO_BLOCK_SIZE. */
export function encodeBlockSize({ minimum, preferred, maximum }: BlockSize): Uint8Array {
  const info = new Uint8Array(14);
  const numbers = view(info);
  numbers.setUint16(0, wire.INFO_BLOCK_SIZE);
  numbers.setUint32(2, minimum);
  numbers.setUint32(6, preferred);
  numbers.setUint32(10, maximum);
  return info;
}

/**
 * Decodes an NBD_INFO_BLOCK_SIZE. The maximum is 32 MiB at most.
 *
 * @throws {NbdError} code `protocol-error` for sizes that proto.md forbids.
 */
export function decodeBlockSize(info: Uint8Array): BlockSize {
  if (info.length !== 14) {
    throw new NbdError(
      "protocol-error",
      `Got an NBD_INFO_BLOCK_SIZE of ${info.length} bytes, expected 14`,
    );
  }
  const numbers = view(info);
  const [minimum, preferred, maximum] = [2, 6, 10].map((at) => numbers.getUint32(at)) as [
    number,
    number,
    number,
  ];
  const isRight = isPowerOf2(minimum) && minimum <= wire.MAX_MINIMUM_BLOCK &&
    isPowerOf2(preferred) && preferred >= minimum && maximum >= minimum;
  if (!isRight) {
    throw new NbdError(
      "protocol-error",
      `Got block sizes ${minimum}, ${preferred} and ${maximum}, which NBD does not allow`,
    );
  }
  return { minimum, preferred, maximum: Math.min(maximum, wire.MAX_PAYLOAD) };
}

function isPowerOf2(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}
