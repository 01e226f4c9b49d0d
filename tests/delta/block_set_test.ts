import { assertEquals } from "@std/assert";
import { BlockSet } from "../../src/delta/block_set.ts";

function members(set: BlockSet): number[] {
  const found: number[] = [];
  for (let at = set.next(0); at !== undefined; at = set.next(at + 1)) found.push(at);
  return found;
}

Deno.test("a set of blocks counts each member once and finds the next one", () => {
  const set = new BlockSet(200);
  assertEquals([set.size, set.next(0)], [0, undefined]);
  for (const block of [0, 31, 32, 63, 64, 199, 31]) set.add(block);
  assertEquals([set.size, members(set)], [6, [0, 31, 32, 63, 64, 199]]);
  set.delete(31);
  set.delete(31);
  assertEquals([set.size, set.next(1), set.has(31)], [5, 32, false]);
  assertEquals([set.next(65), set.next(199), set.next(200)], [199, 199, undefined]);
  set.addAll(30, 34);
  assertEquals(members(set), [0, 30, 31, 32, 33, 63, 64, 199]);
});

Deno.test("a full set has every block of the disk and none behind it", () => {
  for (const blocks of [1, 31, 32, 33, 64, 70]) {
    const set = new BlockSet(blocks, { full: true });
    assertEquals(set.size, blocks);
    assertEquals(members(set), Array.from({ length: blocks }, (_, i) => i));
  }
});
