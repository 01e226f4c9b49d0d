import { assembled } from "./boot_sector.ts";
import { BUSY_LISTING } from "./busy_listing.ts";
import type { Peek } from "./memory_sector.ts";
import { SECTOR_BYTES } from "./ring.ts";

const MiB = 1024 * 1024;
const PAGE = 4096;
/** Where the pages begin. */
const BASE = 16 * MiB;

/** How a busy guest changes its RAM. */
export interface BusyGuestOptions {
  /**
   * MiB that it changes a second, each page once a lap. TCG keeps up with 1 GiB/s and more, a KVM that emulates the
   * guest with about 300 MiB/s.
   */
  readonly mibPerSecond: number;
  /** MiB of RAM that it goes round, from 16 MiB on. */
  readonly mib: number;
  /**
   * All of them begin with random data, which no compression makes smaller; else a page has two words in it. Takes TCG
   * a second or two, and a KVM that emulates the guest minutes. Default false.
   */
  readonly random?: boolean;
  /** Ticks a second. Default 1000. */
  readonly hz?: number;
}

/** What a busy guest says of itself. */
export interface BusyState {
  readonly ticks: number;
  /** Pages that it has changed, of 4 KiB; 32 bits. */
  readonly written: number;
  /** How often it has gone through all of its pages. */
  readonly laps: number;
  /** Pages that did not hold what it had left in them. */
  readonly faults: number;
}

const OFFSET = {
  rate: 0x0c,
  hz: 0x10,
  tickNs: 0x14,
  pages: 0x18,
  base: 0x1c,
  random: 0x20,
} as const;
/** Guest-physical addresses of the state. */
const STATE = { ticks: 0x7c24, written: 0x7c28, laps: 0x7c2c, faults: 0x7c30 } as const;

/**
 * The first sector of a busy guest's disk; the rest of the disk does not matter.
 *
 * @returns 512 bytes.
 * @throws {RangeError} when the options make no guest.
 */
export function busySector(options: BusyGuestOptions): Uint8Array {
  const { mibPerSecond, mib, random = false, hz = 1000 } = options;
  if (!(mibPerSecond >= 0 && mibPerSecond <= 4096)) {
    throw new RangeError(`mibPerSecond is ${mibPerSecond}, expected 0 to 4096`);
  }
  if (!Number.isInteger(mib) || mib < 1) throw new RangeError(`mib is ${mib}, expected 1 or more`);
  if (!Number.isInteger(hz) || hz < 1) throw new RangeError(`hz is ${hz}, expected 1 or more`);
  const sector = new Uint8Array(SECTOR_BYTES);
  sector.set(assembled(BUSY_LISTING));
  const view = new DataView(sector.buffer);
  view.setUint32(OFFSET.rate, Math.round(mibPerSecond * MiB / PAGE), true);
  view.setUint32(OFFSET.hz, hz, true);
  view.setUint32(OFFSET.tickNs, Math.round(1e9 / hz), true);
  view.setUint32(OFFSET.pages, mib * MiB / PAGE, true);
  view.setUint32(OFFSET.base, BASE, true);
  view.setUint32(OFFSET.random, random ? 1 : 0, true);
  view.setUint16(SECTOR_BYTES - 2, 0xaa55, true);
  return sector;
}

/** How a running busy guest is. */
export async function busyState(peek: Peek): Promise<BusyState> {
  const [ticks, written, laps, faults] = await Promise.all(
    [STATE.ticks, STATE.written, STATE.laps, STATE.faults].map(peek),
  ) as [number, number, number, number];
  return { ticks, written, laps, faults };
}
