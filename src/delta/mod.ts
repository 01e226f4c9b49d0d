/**
 * What a disk holds, block by block: hashes, and a device that is written only what it lacks.
 *
 * @module
 */
export {
  BLOCK_BYTES,
  BlockHashes,
  hashBlocks,
  PAGE_BLOCKS,
  PAGE_BYTES,
  type Range,
  sha256,
} from "./block_hashes.ts";
export { BlockSet } from "./block_set.ts";
export { DeltaDevice, DeltaDisk, type DeltaOptions } from "./delta_device.ts";
export { KnownHashes } from "./known_hashes.ts";
export { pageDigest, RootHash } from "./root_hash.ts";
