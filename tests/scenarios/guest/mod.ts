/**
 * Guests without an operating system: one that writes a rising counter to its disks, with what checks
 * afterwards that no write was lost, one that checks its memory itself, and two that change RAM and a
 * disk at a rate.
 *
 * @module
 */
export { bootSector, GUEST_STATE, type GuestOptions } from "./boot_sector.ts";
export { type BusyGuestOptions, busySector, type BusyState, busyState } from "./busy_sector.ts";
export * from "./image.ts";
export {
  type MemoryGuestOptions,
  memorySector,
  type MemoryState,
  memoryStates,
} from "./memory_sector.ts";
export { type Ring, SECTOR_BYTES } from "./ring.ts";
export { checkWriter, type WriterOptions, writerSector, writerState } from "./writer_sector.ts";
export { checkRing, type RingReport } from "./verify_ring.ts";
