import { assertEquals, assertStringIncludes } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { clientNode, targetOptions } from "../../../src/migrate/disks/mirror_target.ts";
import {
  filledByZeroes,
  fillsWarning,
  lookAtImages,
} from "../../../src/migrate/disks/target_images.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

const SIZE = 64 << 20;
const LOCAL = { name: "vd0", nodeName: "n0", sizeBytes: SIZE, format: "raw" } as const;
const PAIRS = [{
  name: "vd0",
  sizeBytes: SIZE,
  local: { ...LOCAL, readOnly: false, empty: false, shared: false },
}];

Deno.test("a thin raw file that zeroes fill is found by zeroes in its hole", async () => {
  const { images, commands } = await look({ bytes: 4096, fills: true });
  assertEquals(images, [{ disk: "vd0", sizeBytes: SIZE, allocated: false, fills: true }]);
  assertEquals(commands, [`qemu-io n0 "write -z -u ${SIZE / 2} 65536"`]);
});

Deno.test("a thin raw file below a filter is found, too", async () => {
  const { images, commands } = await look({ bytes: 0, fills: true, filter: "throttle" });
  assertEquals(images.map(({ fills }) => fills), [true]);
  assertEquals(commands, [`qemu-io t0 "write -z -u ${SIZE / 2} 65536"`]);
});

Deno.test("a thin raw file that keeps zeroes as holes needs no special target", async () => {
  const { images, commands } = await look({ bytes: 0, fills: false });
  assertEquals([images, commands.length], [[], 1]);
});

Deno.test("a preallocated image is found without a write to it", async () => {
  const { images, commands } = await look({ bytes: SIZE, fills: false });
  assertEquals(images, [{ disk: "vd0", sizeBytes: SIZE, allocated: true, fills: false }]);
  assertEquals(commands, []);
});

Deno.test("an image with data, a block device and another format are not written to", async () => {
  for (const image of [{ bytes: 1 << 20 }, { protocol: "host_device" }, { format: "qcow2" }]) {
    const { images, commands } = await look({ bytes: 0, fills: true, ...image });
    assertEquals([images, commands], [[], []]);
  }
});

Deno.test("images of a QEMU that does not answer are left out", async () => {
  const { images } = await look({ bytes: 0, fills: true, format: undefined });
  assertEquals(images, []);
});

Deno.test("only a source before QEMU 10.1 fills a thin image", () => {
  const images = [
    { disk: "vd0", sizeBytes: SIZE, allocated: false, fills: true },
    { disk: "vd1", sizeBytes: SIZE, allocated: true, fills: false },
  ];
  const of = (major: number, minor: number) =>
    filledByZeroes({ atLeast: (a, b) => major > a || (major === a && minor >= b) }, images);
  assertEquals(of(10, 1), []);
  assertEquals(of(10, 0), [images[0]!]);
  const warning = fillsWarning(images[0]!);
  assertStringIncludes(warning, "disk vd0 will not stay thin: all of its 64 MiB");
});

Deno.test("a target turns zeroes into holes unless it must have none", () => {
  const mirror = {
    ...{ name: "vd0", device: "n0", sizeBytes: SIZE, exportName: "e", jobId: "j" },
    targetNode: "j-target",
  };
  const options = (noHoles: true | null, delta: true | null) =>
    targetOptions({ ...mirror, noHoles, topOnly: null, delta }, "/s");
  const [thin, thick] = [options(null, null), options(true, null)];
  const server = { type: "unix", path: "/s" } as const;
  const client = { driver: "nbd", server, export: "e", "reconnect-delay": 0 } as const;
  const [unmap, ignore] = ["unmap", "ignore"] as const;
  assertEquals(thin, {
    ...{ ...client, "node-name": "j-target", "detect-zeroes": unmap, discard: unmap },
  });
  assertEquals(thick, {
    ...{ driver: "raw", "node-name": "j-target", discard: ignore },
    file: { ...client, "node-name": "j-nbd", "detect-zeroes": "off", discard: ignore },
  });
});

Deno.test("a target that vmferry filters makes no holes itself: QEMU would zero it first", () => {
  for (const noHoles of [null, true] as const) {
    const mirror = { name: "vd0", device: "n0", sizeBytes: SIZE, exportName: "e", jobId: "j" };
    const target = { ...mirror, targetNode: "j-target", noHoles, topOnly: null, delta: true };
    assertEquals(targetOptions(target, "/s"), {
      ...{ driver: "nbd", "node-name": "j-target", "reconnect-delay": 0, export: "e" },
      ...{ server: { type: "unix", path: "/s" }, "detect-zeroes": "off", discard: "ignore" },
    });
    assertEquals(clientNode(target), "j-target");
  }
});

async function look(image: {
  bytes: number;
  fills: boolean;
  protocol?: string;
  format?: string | undefined;
  filter?: string;
}) {
  const { fills, protocol = "file", filter } = image;
  const format = "format" in image ? image.format : "raw";
  let { bytes } = image;
  const commands: string[] = [];
  const [ours, theirs] = memoryPipe();
  const qemu = new FakeQemu(theirs, {
    "query-named-block-nodes": () =>
      format === undefined ? { error: { class: "GenericError", desc: "no" } } : {
        return: [
          { "node-name": "n0", drv: format, file: "/a", image: { "actual-size": bytes } },
          { "node-name": "#1", drv: protocol, file: "/a", image: { "actual-size": bytes } },
          ...(filter ? [{ "node-name": "t0", drv: filter, file: "json:{}" }] : []),
        ],
      },
    "x-debug-query-block-graph": () => ({
      return: {
        nodes: ["n0", "t0"].map((name, id) => ({ id, type: "block-driver", name })),
        edges: [{ parent: 1, child: 0, name: "file" }],
      },
    }),
    "human-monitor-command": (args) => {
      commands.push(String(args["command-line"]));
      if (fills) bytes += 65536;
      return { return: "" };
    },
  });
  const pairs = PAIRS.map((pair) =>
    filter ? { ...pair, local: { ...pair.local, nodeName: "t0" } } : pair
  );
  const images = await lookAtImages(await QmpClient.open(ours), pairs, silentLogger);
  qemu.close();
  return { images, commands };
}
