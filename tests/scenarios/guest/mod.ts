/**
 * Guests without an operating system: one that writes a rising counter to its disks, with what checks
 * afterwards that no write was lost, and one that checks its memory itself.
 *
 * @module
 */
export { bootSector, GUEST_STATE, type GuestOptions } from "./boot_sector.ts";
export * from "./image.ts";
export {
  type MemoryGuestOptions,
  memorySector,
  type MemoryState,
  memoryStates,
} from "./memory_sector.ts";
export { type Ring, SECTOR_BYTES } from "./ring.ts";
export { checkRing, type RingReport } from "./verify_ring.ts";
