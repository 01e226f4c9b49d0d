/**
 * The ring that the guest writes on each of its disks, and what one of its sectors holds.
 *
 * Counter c (from 1) goes to sector `start + (c - 1) % length`, on the first disk, then on the
 * second, before c + 1 goes anywhere. All numbers are little-endian.
 *
 * | offset | size | field      |                                                        |
 * | -----: | ---: | ---------- | ------------------------------------------------------ |
 * |      0 |    8 | magic      | `VMFRING1`                                             |
 * |      8 |    8 | run id     | as in the boot sector                                  |
 * |     16 |    4 | counter    | from 1                                                 |
 * |     20 |    4 | lap        | `(counter - 1) / length`, rounded down                 |
 * |     24 |    4 | disk       | 0 for the first disk                                   |
 * |     28 |    4 | RAM faults | pages of RAM that did not hold what the guest had left |
 * |     32 |  480 | fill       | the counter, 120 times                                 |
 */
export const SECTOR_BYTES = 512;
export const RING_MAGIC = "VMFRING1";

/** Where a ring is. */
export interface Ring {
  /** Its first sector. */
  readonly start: number;
  /** How many sectors it has. */
  readonly length: number;
  /** Tells one guest's sectors from those of another. */
  readonly runId: bigint;
}

/** What a ring sector says. */
export interface RingSector {
  readonly runId: bigint;
  readonly counter: number;
  readonly lap: number;
  readonly disk: number;
  readonly ramFaults: number;
  /** False when the fill is not the counter throughout: only a part was written. */
  readonly whole: boolean;
}

/**
 * Reads one sector.
 *
 * @param bytes 512 bytes.
 * @returns `undefined` when it does not begin as a ring sector does.
 */
export function decodeRingSector(bytes: Uint8Array): RingSector | undefined {
  for (let i = 0; i < RING_MAGIC.length; i++) {
    if (bytes[i] !== RING_MAGIC.charCodeAt(i)) return undefined;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, SECTOR_BYTES);
  const counter = view.getUint32(16, true);
  let whole = true;
  for (let at = 32; at < SECTOR_BYTES; at += 4) {
    if (view.getUint32(at, true) !== counter) whole = false;
  }
  return {
    runId: view.getBigUint64(8, true),
    counter,
    lap: view.getUint32(20, true),
    disk: view.getUint32(24, true),
    ramFaults: view.getUint32(28, true),
    whole,
  };
}

/** Writes one sector as the guest does; for tests of what reads them. */
export function encodeRingSector(sector: Omit<RingSector, "whole">): Uint8Array {
  const bytes = new Uint8Array(SECTOR_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(RING_MAGIC));
  view.setBigUint64(8, sector.runId, true);
  view.setUint32(16, sector.counter, true);
  view.setUint32(20, sector.lap, true);
  view.setUint32(24, sector.disk, true);
  view.setUint32(28, sector.ramFaults, true);
  for (let at = 32; at < SECTOR_BYTES; at += 4) view.setUint32(at, sector.counter, true);
  return bytes;
}
