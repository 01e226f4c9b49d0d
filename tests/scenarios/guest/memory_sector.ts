import { assembled } from "./boot_sector.ts";
import { MEMORY_LISTING } from "./memory_listing.ts";
import { SECTOR_BYTES } from "./ring.ts";

/** What a memory guest does. */
export interface MemoryGuestOptions {
  /** Its vCPUs, 1 to 8; QEMU must be given as many. */
  readonly cpus: number;
  /**
   * Pages of 4 KiB that each vCPU goes round. Up to 200 of them stay in a TLB of QEMU's TCG for good
   * (256 entries), which is where an old QEMU forgets them.
   */
  readonly pages: number;
  /** Rounds of an empty loop after each page. */
  readonly spins: number;
}

/** What a vCPU says of itself, in a page of its own. */
export interface MemoryState {
  /** Laps that are done. */
  readonly laps: number;
  /** Pages so far that did not hold what the vCPU had left in them. */
  readonly faults: number;
  /** The last of them: its address, the lap that it held and the lap that it should have held. */
  readonly last: { readonly address: number; readonly got: number; readonly expected: number };
}

const OFFSET = { cpus: 0x0c, pages: 0x10, spins: 0x14, base: 0x18 } as const;
/** Where the first vCPU's state is, and how far apart they are. */
const STATE = 0x10000;
const STATE_STEP = 0x1000;
/** Where the pages begin. */
const BASE = 16 * 1024 * 1024;

/** Reads a 32-bit word of the guest's memory. */
export type Peek = (address: number) => Promise<number>;

/**
 * The first sector of a memory guest's disk; the rest of the disk does not matter.
 *
 * @returns 512 bytes.
 * @throws {RangeError} when the options make no guest.
 */
export function memorySector({ cpus, pages, spins }: MemoryGuestOptions): Uint8Array {
  const fits = Number.isInteger(cpus) && cpus >= 1 && cpus <= 8;
  if (!fits) throw new RangeError(`cpus is ${cpus}, expected 1 to 8`);
  if (!Number.isInteger(pages) || pages < 1) throw new RangeError(`pages is ${pages}`);
  const sector = new Uint8Array(SECTOR_BYTES);
  sector.set(assembled(MEMORY_LISTING));
  const view = new DataView(sector.buffer);
  view.setUint32(OFFSET.cpus, cpus, true);
  view.setUint32(OFFSET.pages, pages, true);
  view.setUint32(OFFSET.spins, spins, true);
  view.setUint32(OFFSET.base, BASE, true);
  view.setUint16(SECTOR_BYTES - 2, 0xaa55, true);
  return sector;
}

/** How each vCPU of a running memory guest is, the first one first. */
export async function memoryStates(peek: Peek, cpus: number): Promise<MemoryState[]> {
  return await Promise.all(Array.from({ length: cpus }, async (_, cpu) => {
    const words = await Promise.all(
      [0, 4, 8, 12, 16].map((at) => peek(STATE + cpu * STATE_STEP + at)),
    );
    const [laps, faults, address, got, expected] = words as [
      number,
      number,
      number,
      number,
      number,
    ];
    return { laps, faults, last: { address, got, expected } };
  }));
}
