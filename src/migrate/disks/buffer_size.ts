/**
 * The size of a mirror job's buffer, from the round trip.
 *
 * @module
 */

const MiB = 2 ** 20;
/** QEMU's default buffer of a mirror: 16 requests of 1 MiB. */
const QEMU_BYTES = 16 * MiB;
/** Buffer of all mirrors together on a slow path; the source's QEMU allocates it. */
const ALL_BYTES = 64 * MiB;
/** Round trip from which QEMU's default is too small, ms: a mirror with a full buffer waits for replies. */
const LONG_MS = 10;

/**
 * `buf-size` of `blockdev-mirror` for each of `disks` mirrors.
 *
 * @param rttMs round trip of the connection, ms.
 * @returns bytes, a multiple of 1 MiB; `undefined` where QEMU's default is as good.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { mirrorBufferBytes } from "./buffer_size.ts";
 *
 * assertEquals(mirrorBufferBytes(1, 2), undefined);
 * assertEquals(mirrorBufferBytes(40, 2), 32 * 2 ** 20);
 * ```
 */
export function mirrorBufferBytes(rttMs: number, disks: number): number | undefined {
  const share = Math.floor(ALL_BYTES / disks / MiB) * MiB;
  return rttMs >= LONG_MS && share > QEMU_BYTES ? share : undefined;
}
