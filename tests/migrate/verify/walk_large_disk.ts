/**
 * Compares every page of a disk of 2 TiB, and prints by how many bytes this process has grown. Needs
 * `--v8-flags=--expose-gc`.
 *
 * @module
 */
import { BlockHashes, PAGE_BLOCKS } from "../../../src/delta/mod.ts";
import { DiskProof } from "../../../src/migrate/verify/disk_proof.ts";
import { PageHashes } from "../../../src/migrate/verify/page_hashes.ts";
import { memoryInUse } from "../../support/memory_in_use.ts";
import { digestOf } from "./simulation.ts";

const before = await memoryInUse();
const proof = new DiskProof({ name: "vd0", sizeBytes: 2 ** 41 }, new PageHashes());
for (let at = 0, piece; (piece = proof.take(at)); at = piece.behind) {
  const here = new BlockHashes(PAGE_BLOCKS);
  here.set(0, digestOf(at));
  proof.judge(piece, here, here);
  // What is under way in the pages before: their digests.
  if (at % (64 * PAGE_BLOCKS) === 0) await proof.settled();
}
if (await proof.rootHash() === null) throw new Error("Not all blocks are proved");
console.log(await memoryInUse() - before);
// It is still in use above.
if (proof.open > 0) throw new Error("A block is open");
