import { assertEquals } from "@std/assert";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { LabGuest, LaunchLab, migrate } from "./lab/mod.ts";

const PORTS = [1, 2, 3].flatMap((n) => ["-device", `pcie-root-port,id=rp${n},chassis=${n}`]);

/** The destination gets the machine as it is, not as its command line was. */
export const scenario: Scenario = {
  name: "launch_changed",
  about: "a guest crosses with a snapshot, a plugged disk, NIC, vCPU and DIMM, and with its new CD",
  timeoutMs: 120_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const cd = ["-drive", "file=/var/lib/vm/old.iso,if=none,id=c0,media=cdrom,format=raw"];
    const scsi = ["-device", "virtio-scsi-pci,id=scsi0", "-device", "scsi-cd,id=cd0,drive=c0"];
    await lab.source.must("mkdir", "-p", "/var/lib/vm", "/var/lib/vm/media");
    for (
      const [path, size] of [["/var/lib/vm/old.iso", "1M"], ["/var/lib/vm/media/new.iso", "3M"]]
    ) {
      await lab.source.must("qemu-img", "create", "-q", "-f", "raw", path!, size!);
    }
    const guest = await LabGuest.start(lab, {
      extra: [
        ...PORTS,
        ...cd,
        ...scsi,
        "-device",
        "usb-ehci,id=usb",
        "-device",
        "usb-tablet,id=tablet",
      ],
      argv: (argv) =>
        argv.map((word) => word === "128" ? "128M,slots=2,maxmem=1G" : word)
          .concat("-smp", "1,maxcpus=2"),
    });
    const qmp = <T>(command: string, args: object = {}) =>
      guest.execute<T>(lab.source, command, args);

    context.note("the machine changes");
    await qmp("blockdev-snapshot-sync", {
      ...{ "node-name": "vd0", "snapshot-node-name": "over", format: "qcow2" },
      "snapshot-file": "/var/lib/vm/overlay.qcow2",
    });
    await lab.source.must(
      "qemu-img",
      "create",
      "-q",
      "-f",
      "qcow2",
      "/var/lib/vm/media/hot.qcow2",
      "8M",
    );
    await qmp("blockdev-add", {
      ...{ driver: "qcow2", "node-name": "hot" },
      file: { driver: "file", filename: "/var/lib/vm/media/hot.qcow2" },
    });
    await qmp("device_add", { driver: "virtio-blk-pci", id: "hot0", drive: "hot", bus: "rp1" });
    await qmp("netdev_add", { type: "user", id: "n1" });
    await qmp("device_add", { driver: "virtio-net-pci", id: "net1", netdev: "n1", bus: "rp2" });
    await qmp("object-add", { "qom-type": "memory-backend-ram", id: "m1", size: 128 << 20 });
    await qmp("device_add", { driver: "pc-dimm", id: "dimm1", memdev: "m1" });
    const slots = await qmp<{ type: string; props: object; "qom-path"?: string }[]>(
      "query-hotpluggable-cpus",
    );
    const { type, props } = slots.find((slot) => slot["qom-path"] === undefined)!;
    await qmp("device_add", { driver: type, id: "cpu1", ...props });
    await qmp("blockdev-change-medium", { id: "cd0", filename: "/var/lib/vm/media/new.iso" });
    await qmp("device_del", { id: "tablet" });

    context.note("the guest crosses");
    const ferry = migrate(lab);
    await assertExit(ferry, 0);
    const there = async (command: string, args: object = {}) =>
      JSON.stringify(await guest.execute(lab.destination, command, args));
    const devices = await there("qom-list", { path: "/machine/peripheral" });
    const has = ["hot0", "net1", "dimm1", "cpu1", "cd0", "tablet"].map((id) =>
      devices.includes(`"${id}"`)
    );
    assertEquals(has, [true, true, true, true, true, false]);
    const blocks = await there("query-block");
    assertEquals(blocks.includes("/var/lib/vm/media/new.iso"), true, blocks);
    assertEquals(blocks.includes("overlay"), false, blocks);
    await guest.assertRunsOnlyOn(lab.destination);
    await lab.destination.must("test", "-f", "/var/lib/vm/media/hot.qcow2");
    await lab.destination.must("test", "!", "-e", "/var/lib/vm/overlay.qcow2");
    await lab.destination.must("test", "!", "-e", "/var/lib/vm/old.iso");
  },
};
