import { decodeRingSector, type Ring, SECTOR_BYTES } from "./ring.ts";

/** What a ring was found to hold. */
export interface RingReport {
  /** The highest counter on the disk; 0 when the guest wrote nothing. */
  readonly highest: number;
  /** Pages of RAM that the guest found changed, as its last sector tells. */
  readonly ramFaults: number;
  /** What is wrong, one sentence each; at most `MOST_FAULTS` and one saying how many more. */
  readonly faults: readonly string[];
}

/** How many faults are spelled out. */
export const MOST_FAULTS = 10;

/**
 * Checks that a ring holds all that its guest wrote: with H its highest counter, each of the last
 * `length` counters up to H stands whole in its own sector, and none that is older.
 *
 * Source of the expectation: the guest writes c + 1 only after c was acknowledged, on all disks.
 *
 * @param sectors the ring's sectors, `ring.length * 512` bytes.
 * @param disk which of the guest's disks this is, from 0.
 */
export function checkRing(sectors: Uint8Array, ring: Ring, disk: number): RingReport {
  if (sectors.length !== ring.length * SECTOR_BYTES) {
    throw new RangeError(
      `The ring has ${sectors.length} bytes, expected ${ring.length * SECTOR_BYTES}`,
    );
  }
  const found = Array.from({ length: ring.length }, (_, slot) => {
    const sector = decodeRingSector(
      sectors.subarray(slot * SECTOR_BYTES, (slot + 1) * SECTOR_BYTES),
    );
    return sector?.runId === ring.runId ? sector : undefined;
  });

  let highest = 0;
  let ramFaults = 0;
  for (const sector of found) {
    if (sector && sector.counter > highest) ({ counter: highest, ramFaults } = sector);
  }

  const faults: string[] = [];
  for (const [slot, sector] of found.entries()) {
    const expected = lastCounterIn(slot, ring.length, highest);
    const lap = Math.floor((expected - 1) / ring.length);
    const where = `disk ${disk}, sector ${ring.start + slot} (slot ${slot})`;
    if (expected === 0) {
      if (sector) faults.push(`${where}: got counter ${sector.counter}, expected none yet`);
    } else if (!sector) {
      faults.push(`${where}: got no sector of this guest, expected counter ${expected}`);
    } else if (sector.counter !== expected) {
      faults.push(
        `${where}: got counter ${sector.counter} of lap ${sector.lap}, expected ${expected} of lap ${lap}`,
      );
    } else if (sector.lap !== lap || sector.disk !== disk || !sector.whole) {
      faults.push(
        `${where}: got lap ${sector.lap}, disk ${sector.disk}, ${
          sector.whole ? "whole" : "torn"
        }, expected lap ${lap}, disk ${disk}, whole`,
      );
    }
  }
  if (ramFaults > 0) faults.push(`disk ${disk}: the guest found ${ramFaults} pages of RAM changed`);
  return { highest, ramFaults, faults: shortened(faults) };
}

/** The highest counter up to `highest` whose place is `slot`; 0 when there is none. */
function lastCounterIn(slot: number, length: number, highest: number): number {
  const first = slot + 1;
  if (first > highest) return 0;
  return first + Math.floor((highest - first) / length) * length;
}

function shortened(faults: string[]): string[] {
  if (faults.length <= MOST_FAULTS) return faults;
  return [...faults.slice(0, MOST_FAULTS), `and ${faults.length - MOST_FAULTS} faults more`];
}
