import { assert, assertEquals } from "@std/assert";
import { BLOCK_BYTES as B, BlockHashes, PAGE_BLOCKS } from "../../../src/delta/mod.ts";
import { DiskProof, type Piece } from "../../../src/migrate/verify/disk_proof.ts";
import { PageHashes } from "../../../src/migrate/verify/page_hashes.ts";
import { digestOf } from "./simulation.ts";

function proofOf(blocks: number): DiskProof {
  return new DiskProof({ name: "vd0", sizeBytes: blocks * B }, new PageHashes(4));
}

/** Hashes of a piece: the same number in each block, but for some. */
function hashes({ first, behind }: Piece, others: { readonly [block: number]: number } = {}) {
  const found = new BlockHashes(behind - first);
  for (let block = first; block < behind; block++) {
    found.set(block - first, digestOf(others[block] ?? 1));
  }
  return found;
}

function prove(proof: DiskProof, others: { readonly [block: number]: number } = {}): void {
  for (let at = 0, piece; (piece = proof.take(at)); at = piece.behind) {
    proof.judge(piece, hashes(piece, others), hashes(piece, others));
  }
}

Deno.test("a block that is written while it is compared is neither proved nor different", () => {
  const proof = proofOf(4);
  const piece = proof.take(0)!;
  proof.changed({ offset: B, length: 10 });
  proof.changed({ offset: 2 * B + 5, length: B });
  assertEquals(proof.judge(piece, hashes(piece), hashes(piece, { 1: 2 })), []);
  assertEquals([proof.open, proof.proved, proof.suspects], [3, 1, []]);
});

Deno.test("a block that is being compared does not count as proved", () => {
  const proof = proofOf(600);
  assertEquals([proof.proved, proof.open], [0, 600]);
  const piece = proof.take(0)!;
  assertEquals([proof.proved, piece.behind], [0, PAGE_BLOCKS]);
  proof.judge(piece, hashes(piece), hashes(piece));
  assertEquals([proof.proved, proof.open], [256, 344]);
  proof.giveUp(proof.take(piece.behind)!);
  assertEquals([proof.proved, proof.open], [256, 344]);
});

Deno.test("a block is a suspect once it differs twice in a row without a write between", () => {
  const proof = proofOf(8);
  const differs = () => {
    const piece = proof.take(0)!;
    return proof.judge(piece, hashes(piece), hashes(piece, { 5: 2 }));
  };
  assertEquals([differs(), proof.suspects], [[5], []]);
  proof.changed({ offset: 5 * B, length: 1 });
  assertEquals([differs(), proof.suspects], [[5], []]);
  assertEquals([differs(), proof.suspects], [[5], [5]]);
  prove(proof);
  assertEquals([proof.open, proof.suspects], [0, []]);
});

Deno.test("a difference in a page forgets its digest, which comes back with the block", async () => {
  const proof = proofOf(8);
  prove(proof);
  const root = await proof.rootHash();
  assert(root !== null);
  const piece = proof.takeRun(3, 4);
  proof.judge(piece, hashes(piece), hashes(piece, { 3: 9 }));
  assertEquals(await proof.rootHash(), null);
  prove(proof);
  assertEquals(await proof.rootHash(), root);
  proof.changed({ offset: 0, length: 1 });
  prove(proof, { 0: 7 });
  assert(![root, null].includes(await proof.rootHash()), "the content has changed");
});

Deno.test("no block is in two pieces of one round, however many are written meanwhile", () => {
  const proof = proofOf(2 * PAGE_BLOCKS);
  prove(proof);
  proof.changed({ offset: 100 * B, length: 2 * B });
  const first = proof.take(0)!;
  assertEquals([first.first, first.behind], [100, 102]);
  proof.changed({ offset: 0, length: PAGE_BLOCKS * B });
  const second = proof.take(first.behind)!;
  assertEquals(second.first, 102);
});

Deno.test("a run reads over small gaps, and a page with many open blocks is read whole", () => {
  const proof = proofOf(2 * PAGE_BLOCKS);
  prove(proof);
  for (const block of [10, 14, 40]) proof.changed({ offset: block * B, length: 1 });
  const piece = proof.take(0)!;
  assertEquals([piece.first, piece.behind, piece.open], [10, 15, [10, 14]]);
  assertEquals(proof.take(piece.behind)!.open, [40]);
  proof.changed({ offset: PAGE_BLOCKS * B, length: 64 * B });
  const whole = proof.take(PAGE_BLOCKS)!;
  assertEquals([whole.first, whole.behind], [PAGE_BLOCKS, 2 * PAGE_BLOCKS]);
});

Deno.test("the content of a block is not defined once it was discarded at the destination", () => {
  const proof = proofOf(4);
  prove(proof);
  proof.trimmed({ offset: B, length: B });
  assertEquals([proof.open, proof.isDefined(1), proof.isDefined(2)], [1, false, true]);
});
