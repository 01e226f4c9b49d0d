import { assertEquals } from "@std/assert";
import type { BlockGraph } from "../../../src/qmp/mod.ts";
import { joinGraph } from "../../../src/qmp/block_graph.ts";
import { nodesOfDestination, nodesOfSource } from "../../../src/migrate/storage/readable.ts";
import { chainOf } from "../../../src/migrate/storage/chain.ts";

/** A graph from `name driver file child=role ...` lines. */
function graphOf(...lines: string[]): BlockGraph {
  const nodes = lines.map((line) => line.split(" "));
  const id = (name: string) => nodes.findIndex(([n]) => n === name);
  return joinGraph(
    nodes.map(([name, drv, file]) => ({ "node-name": name!, drv: drv!, file: file! })),
    {
      nodes: nodes.map(([name], i) => ({ id: i, type: "block-driver", name: name! })),
      edges: nodes.flatMap(([, , , ...children], parent) =>
        children.map((child) => {
          const [name = "", role = ""] = child.split("=");
          return { parent, child: id(name), name: role };
        })
      ),
    },
  );
}

const RAW = graphOf("d0 raw /vm/a.raw p0=file", "p0 file /vm/a.raw");
const OVERLAY = graphOf(
  "top throttle x d0=file",
  "d0 qcow2 /vm/a.qcow2 p0=file b=backing data=data-file",
  "p0 file /vm/a.qcow2",
  "data host_device /dev/vg/a",
  "b raw /vm/base.raw pb=file",
  "pb file /vm/base.raw",
);

Deno.test("a chain goes down to the storage, and only what a mirror writes to counts as written", () => {
  const chain = chainOf(OVERLAY, "top").map((n) => [n.name, n.written, n.isStorage].join());
  assertEquals(chain.sort(), [
    "b,false,false",
    "d0,true,false",
    "data,true,true",
    "p0,true,true",
    "pb,false,true",
    "top,true,false",
  ]);
});

Deno.test("a source is read at its own nodes: the guest's view, and every storage below it", () => {
  assertEquals(nodesOfSource(RAW, "d0"), [{ node: "p0" }]);
  const names = nodesOfSource(OVERLAY, "top").map(({ node }) => node);
  assertEquals(names.sort(), ["data", "p0", "pb", "top"]);
});

Deno.test("a destination's file is opened beside QEMU's own node, past the caches where that can be", () => {
  const plain = { driver: "file", filename: "/vm/a.raw", locking: "off" };
  const direct = { ...plain, cache: { direct: true } };
  assertEquals(nodesOfDestination(RAW, "d0"), [{ open: [[direct], [plain]] }]);
});

Deno.test("a destination's qcow2 is opened without its backing file, which is not written to", () => {
  const views = nodesOfDestination(OVERLAY, "top");
  assertEquals(views.length, 3);
  const guest = views[2]!.open![1]!;
  assertEquals(guest.at(-1), {
    ...{ driver: "qcow2", file: "$0", "data-file": "$1", backing: null },
  });
  assertEquals(guest.slice(0, 2).map((node) => node.filename), ["/vm/a.qcow2", "/dev/vg/a"]);
});

Deno.test("a destination's NBD node is read as it is: it has neither locks nor caches", () => {
  const graph = graphOf("d0 raw nbd://x p0=file", "p0 nbd nbd://x");
  assertEquals(nodesOfDestination(graph, "d0"), [{ node: "p0" }]);
});

Deno.test("storage whose options are not known is not opened again", () => {
  const graph = graphOf("d0 raw rbd:a/b p0=file", "p0 rbd rbd:a/b");
  assertEquals(nodesOfDestination(graph, "d0"), []);
  const known = graphOf("d0 raw x p0=file", 'p0 rbd json:{"driver":"rbd","pool":"a","image":"b"}');
  const [view] = nodesOfDestination(known, "d0");
  assertEquals(view, { open: [[{ driver: "rbd", pool: "a", image: "b" }]] });
});
