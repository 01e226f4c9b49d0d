import { assertEquals, assertMatch } from "@std/assert";
import { backingFiles, baseProblem } from "../../../src/migrate/storage/bases.ts";
import type { BlockGraph, BlockNode } from "../../../src/qmp/mod.ts";

const GiB = 2 ** 30;

function node(name: string, driver: string, more: Partial<BlockNode> = {}): [string, BlockNode] {
  return [name, { name, driver, filename: "", readOnly: true, children: [], ...more }];
}

const child = (role: string, node: string) => ({ role, node });

/** A throttled qcow2 image over a qcow2 image over a raw image. */
const GRAPH: BlockGraph = new Map([
  node("disk", "throttle", { children: [child("file", "top")] }),
  node("top", "qcow2", { children: [child("file", "f0"), child("backing", "mid")] }),
  node("f0", "file", { filename: "/vm/top.qcow2" }),
  node("mid", "qcow2", {
    sizeBytes: 3 * GiB,
    children: [child("file", "f1"), child("backing", "low")],
  }),
  node("f1", "file", { filename: "/base/mid.qcow2" }),
  node("low", "raw", { sizeBytes: 2 * GiB, children: [child("file", "f2")] }),
  node("f2", "nbd", { filename: "nbd://nas/base/low" }),
]);

Deno.test("the backing files of a disk are listed from the upper to the lower one, by name and size", () => {
  const found = backingFiles(GRAPH, "disk").map(({ file, sizeBytes }) => [file, sizeBytes]);
  assertEquals(found, [["mid.qcow2", 3 * GiB], ["low", 2 * GiB]]);
  assertEquals(backingFiles(GRAPH, "low"), []);
});

const file = (name: string, sizeBytes = GiB) => ({
  ...{ file: name, address: `/there/${name}`, sizeBytes },
});

Deno.test("backing files of the same names and sizes below an empty image are accepted, in any directory", () => {
  const here = [{ ...file("a"), address: "/here/a" }, file("b")];
  const there = { disk: "d", chain: [file("a"), file("b")], hasData: false, why: null };
  assertEquals(baseProblem("d", here, there), undefined);
});

Deno.test("the first difference of two chains is named, with the file and what was expected", () => {
  const here = [file("a"), file("b")];
  const cases: [chain: ReturnType<typeof file>[], hasData: boolean, message: RegExp][] = [
    [[], false, /has no backing file, expected \/there\/a \(1 GiB\)/],
    [
      [file("a")],
      false,
      /has one backing file, expected 2 backing files: \/there\/b .* is missing/,
    ],
    [[file("a"), file("c")], false, /backing file is \/there\/c .*, expected \/there\/b/],
    [[file("a"), file("b", 5)], false, /\/there\/b has 5 bytes, the source's \/there\/b has 1 GiB/],
    [[file("a"), file("b"), file("c")], false, /has 3 backing files, expected 2/],
    [[file("a"), file("b")], true, /has data of its own/],
  ];
  for (const [chain, hasData, message] of cases) {
    const there = { disk: "d", chain, hasData, why: null };
    assertMatch(baseProblem("d", here, there) ?? "", message);
  }
});
