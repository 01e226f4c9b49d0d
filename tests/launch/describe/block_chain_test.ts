import { assertEquals } from "@std/assert";
import { allocatedIn, chainOf } from "../../../src/launch/describe/block_chain.ts";
import { joinGraph } from "../../../src/qmp/block_graph.ts";

/** throttle -> top -> middle -> base, each image over a file. Sizes in bytes. */
const NODES = [
  ["limit", "throttle", 100],
  ["top", "qcow2", 100],
  ["middle", "qcow2", 20],
  ["base", "raw", 3],
  ["top-file", "file", 100],
  ["middle-file", "file", 20],
  ["base-file", "file", 3],
] as const;
const EDGES = [
  ...[["limit", "top", "file"], ["top", "top-file", "file"], ["top", "middle", "backing"]],
  ...[["middle", "middle-file", "file"], ["middle", "base", "backing"]],
  ["base", "base-file", "file"],
];

function allocated(root: string, isKnown = true): number | null {
  const id = (node: string) => NODES.findIndex(([name]) => name === node);
  const graph = joinGraph(
    NODES.map(([name, drv, size]) => ({
      ...{ "node-name": name, drv, image: isKnown ? { "actual-size": size } : {} },
    })),
    {
      nodes: NODES.map(([name], i) => ({ id: i, type: "block-driver", name })),
      edges: EDGES.map(([parent, child, name]) => ({
        ...{ parent: id(parent!), child: id(child!), name: name! },
      })),
    },
  );
  return allocatedIn(graph, chainOf(graph, root)!);
}

Deno.test("an image takes the room of all images below it, each counted once", () => {
  assertEquals([allocated("limit"), allocated("top"), allocated("base")], [123, 123, 3]);
});

Deno.test("the room of an image is unknown where QEMU reports none", () => {
  assertEquals(allocated("top", false), null);
});
