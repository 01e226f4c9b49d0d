/**
 * Numbers of 32 bits, from and to bytes. Pure.
 *
 * @module
 */

// By hand: a DataView is one more object for each number on the bulk path.

/** Writes an unsigned number of 32 bits. */
export function putU32(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}

/** Reads an unsigned number of 32 bits. */
export function getU32(from: Uint8Array, at: number): number {
  return (from[at]! << 24 | from[at + 1]! << 16 | from[at + 2]! << 8 | from[at + 3]!) >>> 0;
}
