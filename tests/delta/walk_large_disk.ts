/**
 * Writes once to every page of a disk of 2 TiB at a destination that holds other data, and prints by how many
 * bytes this process has grown. Needs `--v8-flags=--expose-gc`.
 *
 * @module
 */
import { silentLogger } from "../../src/io/mod.ts";
import { BLOCK_BYTES, BlockHashes, PAGE_BYTES } from "../../src/delta/block_hashes.ts";
import { DeltaDevice, DeltaDisk } from "../../src/delta/delta_device.ts";
import { KnownHashes } from "../../src/delta/known_hashes.ts";
import { memoryInUse } from "../support/memory_in_use.ts";
import type { BlockDevice } from "../../src/nbd/mod.ts";

const SIZE = 2 ** 41;

const full = new BlockHashes(PAGE_BYTES / BLOCK_BYTES);
for (let i = 0; i < full.blocks; i++) full.set(i, crypto.getRandomValues(new Uint8Array(32)));
const answer = full.encode();
const target = {
  sizeBytes: SIZE,
  ...{ readOnly: false, blockSize: { minimum: 1, preferred: 4096, maximum: 1 << 25 } },
  can: { writeZeroes: true },
  write: () => Promise.resolve(),
  writeZeroes: () => Promise.resolve(),
} as unknown as BlockDevice;

const before = await memoryInUse();
const hashes = new KnownHashes({
  sizeBytes: SIZE,
  log: silentLogger,
  ask: () => Promise.resolve(answer),
});
const disk = new DeltaDisk(hashes, SIZE);
const device = new DeltaDevice(target, disk, { noHoles: false });
// Zeroes are compared without a hash.
const data = new Uint8Array(BLOCK_BYTES);
for (let offset = 0; offset < SIZE; offset += PAGE_BYTES) await device.write(offset, data);
console.log(await memoryInUse() - before);
// Both are still in use above.
if (disk.hashes !== hashes) throw new Error("The disk has other hashes");
