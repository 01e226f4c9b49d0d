import { assertEquals, assertStringIncludes } from "@std/assert";
import { judgeRoom, type NewFileRoom } from "../../../src/launch/plan/room_rules.ts";
import { Collected } from "../../../src/migrate/mod.ts";

const MiB = 2 ** 20;

function judge(
  ...files: readonly (readonly [path: string, least: number, most: number, free: number])[]
) {
  const found = new Collected();
  const rooms = files.map(([path, least, most, free], i): NewFileRoom => ({
    ...{ name: `f${i}`, path, free: free * MiB, least: least * MiB, most: most * MiB },
  }));
  judgeRoom(rooms, found);
  return found;
}

Deno.test("files of one file system need its room together", () => {
  const { problems } = judge(["/a/x", 6, 6, 10], ["/b/y", 6, 6, 10]);
  assertEquals(problems.map(({ code }) => code), ["no-room"]);
  assertStringIncludes(problems[0]!.message, "/a has 10 MiB free, expected 12 MiB for f0, f1");
});

Deno.test("files of one directory are on one file system, also while others write there", () => {
  assertEquals(judge(["/a/x", 6, 6, 10], ["/a/y", 6, 6, 9]).problems.length, 1);
  assertEquals(judge(["/a/x", 6, 6, 10], ["/b/y", 6, 6, 9]).problems.length, 0);
});

Deno.test("images that may outgrow the room are a warning", () => {
  const { problems, warnings } = judge(["/a/x", 1, 20, 10]);
  assertEquals(problems, []);
  assertStringIncludes(warnings[0]!, "less than the size of f0 (20 MiB)");
});
