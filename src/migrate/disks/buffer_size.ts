/**
 * How much a mirror may have under way.
 *
 * @module
 */

const MiB = 2 ** 20;
/** What QEMU lets a mirror have under way by itself: 16 requests of 1 MiB. */
const QEMU_BYTES = 16 * MiB;
/** The same for all mirrors together on a long link; it is memory of the source's QEMU. */
const ALL_BYTES = 64 * MiB;
/** Round trip from which a link is long, ms: a mirror that has sent it all waits for its answers. */
const LONG_MS = 10;

/**
 * `buf-size` for each of `disks` mirrors over a connection with this round trip, bytes; `undefined`
 * where QEMU's own choice is as good.
 */
export function mirrorBufferBytes(rttMs: number, disks: number): number | undefined {
  const share = Math.floor(ALL_BYTES / disks / MiB) * MiB;
  return rttMs >= LONG_MS && share > QEMU_BYTES ? share : undefined;
}
