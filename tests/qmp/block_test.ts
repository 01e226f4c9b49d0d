import { assertEquals } from "@std/assert";
import { listDisks, QmpClient } from "../../src/qmp/mod.ts";
import { WaitingQemu } from "../support/fake_destination.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

const image = { "virtual-size": 1024 };
const block = (id: string, inserted: Record<string, unknown>) => ({
  ...{ device: "", qdev: `/machine/peripheral/${id}/virtio-backend` },
  inserted: { "node-name": `n-${id}`, ro: false, image, ...inserted },
});
const luks = { ...image, encrypted: true };
/** An image above it, or a filter: QEMU reports the image below a filter as its backing image, too. */
const over = (format: string) => ({ ...image, format, "backing-image": luks });
/** As QEMU 7.2, 10.0 and 11.1 report the image that -snapshot puts above `below`. */
const overlay = (filename: string) =>
  "json:" + JSON.stringify({
    backing: { driver: "raw", file: { driver: "file", filename: "/vm/a.raw" } },
    ...{ driver: "qcow2", file: { driver: "file", filename } },
  });

Deno.test("disks that QEMU encrypts, or drops when it ends, are known as such", async () => {
  const [ours, theirs] = memoryPipe();
  const blocks = [
    block("plain", { drv: "raw", file: "/vm/vl.0N2IZ3", image: { ...image, encrypted: false } }),
    block("own", { drv: "qcow2", file: overlay("/vm/overlay.qcow2") }),
    block("odd", { drv: "qcow2", file: "json:{" }),
    block("luks", { drv: "qcow2", file: "/vm/luks.qcow2", image: luks }),
    block("filtered", { drv: "throttle", image: over("throttle") }),
    block("overlay", { drv: "qcow2", image: over("qcow2") }),
    block("snapshot", { drv: "qcow2", file: overlay("/var/tmp/vl.0N2IZ3") }),
  ];
  const qemu = new WaitingQemu(theirs, { "query-block": () => ({ return: blocks }) });
  const disks = await listDisks(await QmpClient.open(ours));
  const names = (of: "encrypted" | "temporary") =>
    disks.filter((disk) => disk[of]).map(({ name }) => name);
  assertEquals([names("encrypted"), names("temporary")], [["luks", "filtered"], ["snapshot"]]);
  qemu.fake.close();
});

Deno.test("a disk's dirty bitmaps are known, persistent or not, without those of block jobs", async () => {
  const [ours, theirs] = memoryPipe();
  const bitmaps = [{ name: "monday", persistent: true }, { name: "tuesday" }, { busy: true }];
  const blocks = [block("vd0", { drv: "qcow2", file: "/vm/a.qcow2", "dirty-bitmaps": bitmaps })];
  const qemu = new WaitingQemu(theirs, { "query-block": () => ({ return: blocks }) });
  const [disk] = await listDisks(await QmpClient.open(ours));
  assertEquals(disk?.bitmaps, ["monday", "tuesday"]);
  qemu.fake.close();
});
