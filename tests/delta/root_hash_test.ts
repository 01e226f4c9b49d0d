import { assertEquals, assertNotEquals } from "@std/assert";
import {
  BLOCK_BYTES,
  BlockHashes,
  PAGE_BLOCKS,
  PAGE_BYTES,
  sha256,
} from "../../src/delta/block_hashes.ts";
import { pageDigest, RootHash } from "../../src/delta/root_hash.ts";

Deno.test("the digest of a page covers the digests of its blocks in order, zeroes for a block of zeroes", async () => {
  const hashes = new BlockHashes(3);
  const digest = await sha256(new Uint8Array([7]));
  hashes.set(1, digest);
  const expected = new Uint8Array(96);
  expected.set(digest, 32);
  assertEquals(await pageDigest(hashes), await sha256(expected));
});

Deno.test("the root hash covers the digests of all pages in order", async () => {
  const root = new RootHash(2 * PAGE_BYTES + 5);
  assertEquals([root.pages, root.blocksOf(0), root.blocksOf(2)], [3, PAGE_BLOCKS, 1]);
  const digests = [];
  for (let page = 0; page < 3; page++) {
    const hashes = new BlockHashes(root.blocksOf(page));
    hashes.set(0, await sha256(new Uint8Array([page])));
    digests.push(await pageDigest(hashes));
  }
  for (const page of [2, 0, 1]) root.set(page, digests[page]!);
  const expected = (await sha256(new Uint8Array(digests.flatMap((each) => [...each])))).toHex();
  assertEquals(await root.value(), expected);
  root.set(0, digests[1]!);
  assertNotEquals(await root.value(), expected);
});

Deno.test("there is no root hash while a page is not known", async () => {
  const root = new RootHash(PAGE_BYTES + BLOCK_BYTES);
  root.set(0, await pageDigest(new BlockHashes(PAGE_BLOCKS)));
  assertEquals([root.has(0), root.has(1), await root.value()], [true, false, null]);
  root.set(1, await pageDigest(new BlockHashes(1)));
  assertEquals(typeof await root.value(), "string");
  root.forget(0);
  assertEquals(await root.value(), null);
});
