import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { MigrationError } from "../../../src/migrate/errors.ts";
import type { DestinationPeer } from "../../../src/migrate/source/destination_peer.ts";
import { chooseTopOnly, type TopOnlyOptions } from "../../../src/migrate/storage/top_only.ts";
import { type Disk, QmpClient } from "../../../src/qmp/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { ALONE } from "../../support/fake_destination.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

const NODES = [
  { "node-name": "top", drv: "qcow2", file: "/vm/top.qcow2" },
  { "node-name": "base", drv: "file", file: "/vm/base.raw", image: { "virtual-size": 4096 } },
  { "node-name": "plain", drv: "raw", file: "/vm/plain.raw" },
];
const GRAPH = {
  nodes: NODES.map((n, id) => ({ id, type: "block-driver", name: n["node-name"] })),
  edges: [{ parent: 0, child: 1, name: "backing" }],
};
const DISKS = [["vd0", "top"], ["vd1", "plain"]].map(([name, nodeName]) => {
  return { name, nodeName, sizeBytes: 4096, format: "qcow2" } as Disk;
});

/** What is chosen with a destination that answers `describeBases` so, and the warnings. */
async function choose(describeBases: () => Promise<unknown>, more: Partial<TopOnlyOptions> = {}) {
  const [ours, theirs] = memoryPipe();
  new FakeQemu(theirs, {
    "query-named-block-nodes": () => ({ return: NODES }),
    "x-debug-query-block-graph": () => ({ return: GRAPH }),
  });
  await using qmp = await QmpClient.open(ours);
  const warnings: unknown[] = [];
  const clock = new ManualClock();
  const host = {
    ...{
      processes: ALONE,
      describeHost: never,
      connectUnix: never,
      connectTcp: never,
      removeFile: never,
    },
  };
  const chosen = await chooseTopOnly({
    sync: "top",
    access: { ...host, qmp, socketPath: "/run/x", clock, log: silentLogger },
    peer: { describeBases } as unknown as DestinationPeer,
    chosen: { all: DISKS, disks: DISKS.map((disk) => ({ ...disk, device: disk.nodeName })) },
    isPrepared: false,
    report: (event) => event.event === "warning" && warnings.push([event.code, event.message]),
    clock,
    signal: new AbortController().signal,
    ...more,
  });
  return { chosen: [...chosen], warnings };
}

const never = () => Promise.reject(new Error("Nothing is opened"));
const answer = (more: Record<string, unknown> = {}) => () => {
  const base = { file: "base.raw", address: "/b/base.raw", sizeBytes: 4096 };
  return Promise.resolve({
    disks: [{ disk: "vd0", chain: [base], hasData: false, why: null, ...more }],
  });
};

Deno.test("with --sync top a disk without a backing file is copied whole, with a warning", async () => {
  const { chosen, warnings } = await choose(answer());
  assertEquals(chosen, ["vd0"]);
  assertEquals(warnings, [
    ["sync-full", "vd1: copied with everything, because there is no backing file"],
  ]);
});

Deno.test("without --sync top nothing is asked and every disk is copied whole", async () => {
  assertEquals((await choose(never, { sync: "full" })).chosen, []);
});

Deno.test("a migration whose destination was prepared by a killed process copies every disk whole", async () => {
  const { chosen, warnings } = await choose(never, { isPrepared: true });
  assertEquals([chosen.length, warnings.length], [0, 1]);
});

Deno.test("a destination that cannot describe or read its images is refused, and named as the cause", async () => {
  const old = () => Promise.reject(new RpcError("unknown-procedure", "none"));
  for (const there of [old, answer({ hasData: null, why: "no space" })]) {
    const error = await assertRejects(() => choose(there), MigrationError);
    assertEquals(
      [error.kind, error.code, error.side],
      ["refused", "base-not-compared", "destination"],
    );
  }
  const differs = await assertRejects(() => choose(answer({ hasData: true })), MigrationError);
  assertEquals([differs.kind, differs.code], ["refused", "base-differs"]);
});
