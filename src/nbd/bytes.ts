import { type BytePipe, readFull, UnexpectedEndError } from "../io/mod.ts";
import { NbdError } from "./errors.ts";

/** The bytes as numbers. */
export function view(bytes: Uint8Array): DataView<ArrayBufferLike> {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/**
 * Reads exactly `length` bytes of the negotiation from `peer`.
 *
 * @throws {NbdError} code `closed` when the peer hangs up before.
 */
export async function take(
  pipe: BytePipe,
  length: number,
  peer: "server" | "client",
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  try {
    if (length === 0 || await readFull(pipe, bytes)) return bytes;
  } catch (error) {
    if (!(error instanceof UnexpectedEndError)) throw error;
  }
  throw new NbdError("closed", `The NBD ${peer} hung up during the negotiation`);
}

/** A 64-bit number as a safe integer; Infinity when it is over 2^53. */
export function u64(numbers: DataView, at: number): number {
  const high = numbers.getUint32(at);
  return high < 1 << 21 ? high * 2 ** 32 + numbers.getUint32(at + 4) : Infinity;
}

/** Writes a safe integer as a 64-bit number. */
export function setU64(numbers: DataView, at: number, value: number): void {
  numbers.setUint32(at, Math.floor(value / 2 ** 32));
  numbers.setUint32(at + 4, value >>> 0);
}
