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

Deno.test("a chain ends at the storage, and only nodes that a mirror writes to count as written", () => {
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

const OWN = { ownNodes: true };
const plain = (filename: string) => ({ driver: "file", filename, locking: "off" });
const direct = (filename: string) => ({ ...plain(filename), cache: { direct: true } });

Deno.test("a file is opened a second time, past the host's caches where possible", () => {
  const expected = [{ open: [[direct("/vm/a.raw")], [plain("/vm/a.raw")]] }];
  assertEquals(nodesOfSource(RAW, "d0", OWN), expected);
  assertEquals(nodesOfDestination(RAW, "d0", OWN), expected);
});

Deno.test("a source's disk is read as its guest sees it and at all storage below", () => {
  const views = nodesOfSource(OVERLAY, "top", OWN);
  assertEquals(views.map(({ open }) => open![1]!.at(-1)), [
    { driver: "qcow2", file: "$0", "data-file": "$1", backing: "$3" },
    plain("/vm/a.qcow2"),
    plain("/vm/base.raw"),
    { driver: "host_device", filename: "/dev/vg/a", locking: "off" },
  ]);
  assertEquals(views[0]!.open![1]!.slice(2, 4), [plain("/vm/base.raw"), {
    driver: "raw",
    file: "$2",
  }]);
});

Deno.test("the comparison ignores the destination's backing file", () => {
  const views = nodesOfDestination(OVERLAY, "top", OWN);
  assertEquals(views.map(({ open }) => open![1]!.at(-1)), [
    { driver: "qcow2", file: "$0", "data-file": "$1", backing: null },
    plain("/vm/a.qcow2"),
    { driver: "host_device", filename: "/dev/vg/a", locking: "off" },
  ]);
});

Deno.test("a raw image with an offset and size is opened again with both", () => {
  const graph = graphOf(
    'd0 raw json:{"driver":"raw","offset":512,"size":1024} p0=file',
    "p0 file /vm/a.raw",
  );
  assertEquals(nodesOfDestination(graph, "d0", OWN)[0]!.open![0]!.at(-1), {
    ...{ driver: "raw", file: "$0", offset: 512, size: 1024 },
  });
});

Deno.test("network storage is not opened twice: QEMU's own node or the NBD server itself is read", () => {
  const graph = graphOf("d0 raw nbd://x p0=file", "p0 nbd nbd://x");
  assertEquals(nodesOfDestination(graph, "d0", OWN), [{ node: "p0" }]);
  assertEquals(nodesOfSource(graph, "d0", { ownNodes: false }), [
    { server: { at: { host: "x", port: 10809 }, exportName: "" } },
  ]);
  const image = graphOf("d0 qcow2 nbd://x p0=file", "p0 nbd nbd://x");
  assertEquals(nodesOfSource(image, "d0", OWN)[0]!.open![0], [
    { driver: "qcow2", file: "p0", backing: null },
  ]);
});

Deno.test("storage with unknown options is not opened again", () => {
  const graph = graphOf("d0 raw rbd:a/b p0=file", "p0 rbd rbd:a/b");
  assertEquals(nodesOfDestination(graph, "d0", OWN), []);
  const known = graphOf("d0 raw x p0=file", 'p0 rbd json:{"driver":"rbd","pool":"a","image":"b"}');
  const rbd = { driver: "rbd", pool: "a", image: "b" };
  assertEquals(nodesOfDestination(known, "d0", OWN), [
    { open: [[{ ...rbd, cache: { direct: true } }], [rbd]] },
  ]);
});
