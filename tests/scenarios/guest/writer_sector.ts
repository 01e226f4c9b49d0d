import { assembled } from "./boot_sector.ts";
import type { Peek } from "./memory_sector.ts";
import { SECTOR_BYTES } from "./ring.ts";
import { WRITER_LISTING } from "./writer_listing.ts";

const MiB = 1024 * 1024;
/** Sectors of a block, each with the block's number at its beginning. */
const SECTORS = 64;
/** Bytes that the guest writes at once. */
const BLOCK = SECTORS * SECTOR_BYTES;
/** Ticks of the BIOS, a second. */
const HZ = 1193182 / 65536;
/** Where the blocks begin, bytes. */
const FIRST = MiB;

/** How a writing guest writes to its disk. */
export interface WriterOptions {
  /** MiB a second; what is late is left out. */
  readonly mibPerSecond: number;
  /** MiB of the disk that it goes round, from 1 MiB on. */
  readonly mib: number;
}

const OFFSET = { perTick: 0x0c, first: 0x10, blocks: 0x14 } as const;
/** Guest-physical addresses of the state. */
const STATE = { written: 0x7c18, ticks: 0x7c1c } as const;

/**
 * The first sector of a writing guest's disk, which must have `mib` + 1 MiB.
 *
 * @returns 512 bytes.
 * @throws {RangeError} when the options make no guest.
 */
export function writerSector({ mibPerSecond, mib }: WriterOptions): Uint8Array {
  if (!(mibPerSecond > 0 && mibPerSecond <= 4096)) {
    throw new RangeError(`mibPerSecond is ${mibPerSecond}, expected more than 0, at most 4096`);
  }
  if (!Number.isInteger(mib) || mib < 1) throw new RangeError(`mib is ${mib}, expected 1 or more`);
  const sector = new Uint8Array(SECTOR_BYTES);
  sector.set(assembled(WRITER_LISTING));
  const view = new DataView(sector.buffer);
  view.setUint32(OFFSET.perTick, Math.round(mibPerSecond * MiB / BLOCK / HZ * 65536), true);
  view.setUint32(OFFSET.first, FIRST / SECTOR_BYTES, true);
  view.setUint32(OFFSET.blocks, mib * MiB / BLOCK, true);
  view.setUint16(SECTOR_BYTES - 2, 0xaa55, true);
  return sector;
}

/** How a running writing guest is: the blocks of 32 KiB that it has written. */
export async function writerState(
  peek: Peek,
): Promise<{ readonly ticks: number; readonly written: number }> {
  const [ticks, written] = await Promise.all([peek(STATE.ticks), peek(STATE.written)]);
  return { ticks: ticks!, written: written! };
}

/**
 * Finds writes that a writing guest's disk has lost: each block must have the number that follows the one before it,
 * but for the place where the guest is.
 *
 * @param data the disk from its first byte on.
 * @returns a sentence about each.
 */
export function checkWriter(data: Uint8Array, { mib }: WriterOptions): string[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const blocks = mib * MiB / BLOCK;
  const numbers = Array.from({ length: blocks }, (_, block) => {
    const at = FIRST + block * BLOCK;
    const stamps = Array.from(
      { length: SECTORS },
      (_, i) => view.getUint32(at + i * SECTOR_BYTES, true),
    );
    return { first: Math.min(...stamps), last: Math.max(...stamps) };
  });
  const newest = Math.max(...numbers.map(({ last }) => last));
  return numbers.flatMap(({ first, last }, block) => {
    // Block 0 has the first number, 1; the guest goes round.
    const expected = newest - ((newest - 1 - block) % blocks + blocks) % blocks;
    const before = Math.max(0, expected - blocks);
    const isInFlight = last === newest && first === before;
    if (last === Math.max(0, expected) && (first === last || isInFlight)) return [];
    return [`Block ${block} holds ${first} to ${last}, expected ${expected}`];
  });
}
