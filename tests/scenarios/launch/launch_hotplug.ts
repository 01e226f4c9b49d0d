import { assertExit, type Scenario } from "../support/scenario.ts";
import { LabGuest, LaunchLab, migrate } from "./lab/mod.ts";

const DISK = "/var/lib/vm/hot plugged.qcow2";
const MAC = "52:54:00:12:34:99";

/** Devices that QEMU's command line does not have. */
export const scenario: Scenario = {
  name: "launch_hotplug",
  about: "a disk and a NIC that were hotplugged arrive with the guest",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    const ports = [0, 1].flatMap((i) => ["-device", `pcie-root-port,id=port${i},chassis=${i + 1}`]);
    const guest = await LabGuest.start(lab, { disks: [{ format: "raw" }], extra: ports });
    await source.must("qemu-img", "create", "-q", "-f", "qcow2", DISK, "32M");
    await source.must("qemu-io", "-c", "write -P 0x5a 1M 2M", DISK);
    const file = { driver: "file", filename: DISK };
    const add = (command: string, args: object) => guest.execute(source, command, args);
    await add("blockdev-add", { driver: "qcow2", "node-name": "hot", file });
    await add("device_add", { driver: "virtio-blk-pci", id: "hd9", drive: "hot", bus: "port0" });
    await add("netdev_add", { type: "user", id: "net9" });
    const nic = { driver: "virtio-net-pci", id: "nic9", netdev: "net9", mac: MAC, bus: "port1" };
    await add("device_add", nic);

    await assertExit(migrate(lab), 0);
    const peripherals = await guest.execute<{ name: string }[]>(destination, "qom-list", {
      path: "/machine/peripheral",
    });
    for (const id of ["hd9", "nic9"]) {
      if (peripherals.some(({ name }) => name === id)) continue;
      throw new Error(`The destination has no ${id}: ${JSON.stringify(peripherals)}`);
    }
    const rx = await guest.execute<{ "main-mac": string }[]>(destination, "query-rx-filter");
    if (rx[0]?.["main-mac"] !== MAC) throw new Error(`Got ${JSON.stringify(rx)}, expected ${MAC}`);
    await guest.assertArrived();
    await guest.assertSame({ path: DISK, format: "qcow2" });
  },
};
