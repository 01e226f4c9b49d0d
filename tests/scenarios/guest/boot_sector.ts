import { decodeHex } from "@std/encoding/hex";
import { LISTING } from "./listing.ts";
import { type Ring, SECTOR_BYTES } from "./ring.ts";

/** What a guest does. */
export interface GuestOptions {
  readonly ring: Ring;
  /** How many disks it writes to, BIOS drives 80h on. Default 1. */
  readonly disks?: number;
  /** Microseconds between two counters, in steps of about 1000; 0 is as fast as it can. Default 1000. */
  readonly waitUs?: number;
  /** A block of RAM that the guest changes, in pages of 4 KiB from 2 MiB on. Default none. */
  readonly ramPages?: number;
  /** How many of those pages it changes with each counter. */
  readonly ramStep?: number;
}

/** Where the guest's program is in its memory. */
const LOAD_ADDRESS = 0x7c00;

const OFFSET = {
  runId: 0x0c,
  ringStart: 0x14,
  ringLength: 0x18,
  waitUs: 0x1c,
  ramPages: 0x20,
  ramStep: 0x24,
  disks: 0x28,
  counter: 0x2c,
  ramLap: 0x3c,
  ramFaults: 0x40,
} as const;

/** Guest-physical addresses of 32-bit numbers that tell how the running guest is. */
export const GUEST_STATE = {
  /** The counter that is being written. */
  counter: LOAD_ADDRESS + OFFSET.counter,
  /** How often the block of RAM was gone through. */
  ramLap: LOAD_ADDRESS + OFFSET.ramLap,
  /** Pages found changed by something else than the guest. */
  ramFaults: LOAD_ADDRESS + OFFSET.ramFaults,
} as const;

/**
 * The first sector of the guest's boot disk.
 *
 * @returns 512 bytes.
 * @throws {RangeError} when the options make no guest.
 */
export function bootSector(options: GuestOptions): Uint8Array {
  const { ring, disks = 1, waitUs = 1000, ramPages = 0, ramStep = 0 } = options;
  check("ring.start", ring.start, 1);
  check("ring.length", ring.length, 1);
  check("disks", disks, 1, 16);
  check("waitUs", waitUs, 0);
  check("ramPages", ramPages, ramStep > 0 ? 1 : 0);
  check("ramStep", ramStep, 0);
  const sector = new Uint8Array(SECTOR_BYTES);
  sector.set(assembled(LISTING));
  const view = new DataView(sector.buffer);
  view.setBigUint64(OFFSET.runId, ring.runId, true);
  view.setUint32(OFFSET.ringStart, ring.start, true);
  view.setUint32(OFFSET.ringLength, ring.length, true);
  view.setUint32(OFFSET.waitUs, waitUs, true);
  view.setUint32(OFFSET.ramPages, ramPages, true);
  view.setUint32(OFFSET.ramStep, ramStep, true);
  view.setUint32(OFFSET.disks, disks, true);
  view.setUint16(SECTOR_BYTES - 2, 0xaa55, true);
  return sector;
}

/**
 * The bytes of an assembler listing.
 *
 * @throws {Error} when a line does not begin where the one before it ended.
 */
export function assembled(listing: string): Uint8Array {
  const bytes: number[] = [];
  for (const line of listing.split("\n")) {
    if (line === "") continue;
    const [offset = "", hex = ""] = line.split(/ +/);
    if (parseInt(offset, 16) !== bytes.length) {
      throw new Error(`The line at ${offset} follows ${bytes.length.toString(16)}: ${line}`);
    }
    bytes.push(...decodeHex(hex));
  }
  if (bytes.length > SECTOR_BYTES - 2) {
    throw new Error(`The program has ${bytes.length} bytes, expected at most ${SECTOR_BYTES - 2}`);
  }
  return Uint8Array.from(bytes);
}

function check(what: string, value: number, least: number, most = 0xffffffff): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${what} is ${value}, expected ${least} to ${most}`);
  }
}
