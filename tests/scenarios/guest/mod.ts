/**
 * A guest without an operating system that writes a rising counter to its disks, and what checks
 * afterwards that no write was lost.
 *
 * @module
 */
export { bootSector, GUEST_STATE, type GuestOptions } from "./boot_sector.ts";
export * from "./image.ts";
export { type Ring, SECTOR_BYTES } from "./ring.ts";
export { checkRing, type RingReport } from "./verify_ring.ts";
