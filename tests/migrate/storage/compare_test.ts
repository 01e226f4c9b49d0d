import { assertEquals, assertMatch } from "@std/assert";
import { silentLogger, systemClock } from "../../../src/io/mod.ts";
import { NbdServer } from "../../../src/nbd/mod.ts";
import { compareStorage } from "../../../src/migrate/storage/compare.ts";
import type { DestinationPeer } from "../../../src/migrate/source/destination_peer.ts";
import { type Disk, QmpClient } from "../../../src/qmp/mod.ts";
import { ALONE, NO_HOST } from "../../support/fake_destination.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { MemoryDevice } from "../../nbd/memory_device.ts";

const SIZE = 1 << 20;
const VD1 = { name: "vd1", sizeBytes: SIZE, format: "raw" };

/** Compares disk vd1, which has data and `share-rw=on`, with what the destination says of it. */
async function compare(described: readonly string[]) {
  const device = new MemoryDevice({ sizeBytes: SIZE });
  await device.write(0, new Uint8Array(4096).fill(7));
  const server = new NbdServer({
    list: () => [],
    find: (name) => Promise.resolve({ name, device }),
  });
  const [ours, theirs] = memoryPipe();
  const ok = () => ({ return: {} });
  new FakeQemu(theirs, {
    "query-iothreads": () => ({ return: [] }),
    "query-block-exports": () => ({ return: [] }),
    "query-named-block-nodes": () => ({
      return: [{
        "node-name": "n1",
        drv: "file",
        file: "/vm/lun",
        image: { "virtual-size": SIZE },
      }],
    }),
    "x-debug-query-block-graph": () => ({
      return: { nodes: [{ id: 0, type: "block-driver", name: "n1" }], edges: [] },
    }),
    ...{ "nbd-server-start": ok, "nbd-server-stop": ok, "blockdev-add": ok, "blockdev-del": ok },
    ...{ "block-export-add": ok, "block-export-del": ok },
  });
  await using qmp = await QmpClient.open(ours);
  const connectUnix = () => {
    const [client, end] = memoryPipe();
    server.serve(end).catch(() => {});
    return Promise.resolve(client);
  };
  const peer = {
    describeDisks: () =>
      Promise.resolve({
        disks: described.map((disk) => ({ disk, local: disk, overwritten: false, nodes: [] })),
      }),
    compareBlocks: () => Promise.resolve({ matches: [], notRead: [] }),
  };
  const found = await compareStorage({
    access: {
      ...{ processes: ALONE, describeHost: NO_HOST, connectUnix, connectTcp: connectUnix },
      ...{ removeFile: () => Promise.resolve(), socketPath: "/run/x" },
      ...{ qmp, clock: systemClock, log: silentLogger },
    },
    peer: peer as unknown as DestinationPeer,
    disks: [{ ...VD1, nodeName: "n1", readOnly: false, empty: false, shared: true } as Disk],
    ...{ copied: [], shared: [VD1], implied: ["vd1"], reuse: [] },
    signal: new AbortController().signal,
  });
  await server.shutDown();
  return found;
}

Deno.test("a disk with share-rw=on is refused where the destination's has other data", async () => {
  const { problems, warnings } = await compare(["vd1"]);
  assertEquals([problems.length, warnings], [1, []]);
  assertMatch(problems[0]!, /^disk vd1 is not copied.* 0 of 1 blocks.*add --shared vd1/);
});

Deno.test("a disk with share-rw=on that the destination does not have is not called other storage", async () => {
  assertEquals(await compare([]), { problems: [], warnings: [] });
});
