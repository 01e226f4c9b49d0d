import { assertEquals } from "@std/assert";
import { silentLogger } from "../../src/io/mod.ts";
import { BlockHashes, PAGE_BLOCKS, PAGE_BYTES, type Range } from "../../src/delta/block_hashes.ts";
import { KnownHashes } from "../../src/delta/known_hashes.ts";

const SIZE = 20 * PAGE_BYTES + 100;

Deno.test("hashes are asked for four pages ahead, each page once, and not behind the disk's end", async () => {
  const asked: Range[] = [];
  const known = new KnownHashes({
    sizeBytes: SIZE,
    log: silentLogger,
    ask: (range) => {
      asked.push(range);
      return Promise.resolve(new BlockHashes(Math.ceil(range.length / 65536)).encode());
    },
  });
  assertEquals((await known.pageOf(0))?.blocks, PAGE_BLOCKS);
  assertEquals(asked.map(({ offset }) => offset / PAGE_BYTES), [0, 1, 2, 3, 4]);
  await known.pageOf(PAGE_BLOCKS);
  assertEquals(asked.map(({ offset }) => offset / PAGE_BYTES).slice(5), [5]);
  assertEquals((await known.pageOf(20 * PAGE_BLOCKS))?.blocks, 1);
  assertEquals(asked.at(-1), { offset: 20 * PAGE_BYTES, length: 100 });
});

Deno.test("after one refusal nothing more is asked, and no hash is known", async () => {
  let calls = 0;
  const known = new KnownHashes({
    sizeBytes: SIZE,
    log: silentLogger,
    ask: () => {
      calls++;
      return Promise.reject(new Error("unknown-procedure"));
    },
  });
  assertEquals(await known.pageOf(0), undefined);
  const before = calls;
  assertEquals(await known.pageOf(10 * PAGE_BLOCKS), undefined);
  assertEquals(calls, before);
});
