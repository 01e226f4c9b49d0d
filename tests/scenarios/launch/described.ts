import { assertEquals, assertMatch } from "@std/assert";
import type { Scenario } from "../support/scenario.ts";
import { run } from "../support/run_checked.ts";
import { poll } from "../support/waiting.ts";
import { Machine, roundTrip } from "./described/machine.ts";
import { base, type Story, tellAll } from "./described/stories.ts";

/** A machine that is described after it has changed is made again with the same devices. */
export const scenario: Scenario = {
  name: "described",
  about:
    "a description makes the same machine again after hotplug, unplug, snapshots and new media",
  timeoutMs: 180_000,
  async run(context) {
    await tellAll(context, STORIES);
  },
};

const STORIES: Readonly<Record<string, Story>> = {
  async plugged(context, here, there) {
    await run([
      "qemu-img",
      "create",
      "-q",
      "-f",
      "qcow2",
      "-o",
      "cluster_size=16k",
      `${here}/hot.qcow2`,
      "32M",
    ]);
    await run(["qemu-img", "create", "-q", "-f", "raw", `${here}/hot.raw`, "8M"]);
    await run(["qemu-img", "create", "-q", "-f", "raw", `${here}/d0.raw`, "8M"]);
    const source = context.use(
      await Machine.start("source", here, [
        ...base(),
        ...[
          "-drive",
          "file=d0.raw,if=none,id=d0,format=raw",
          "-device",
          "virtio-blk-pci,drive=d0,id=vd0",
        ],
      ]),
    );
    await source.execute("object-add", { "qom-type": "iothread", id: "io1" });
    await source.execute("blockdev-add", {
      ...{ driver: "qcow2", "node-name": "hot", discard: "unmap", cache: { direct: true } },
      file: { driver: "file", filename: "hot.qcow2" },
    });
    await source.execute("device_add", {
      ...{ driver: "virtio-blk-pci", id: "vd1", drive: "hot", bus: "rp1", iothread: "io1" },
      ...{ serial: "a,b c", "queue-size": 128, bootindex: 3 },
    });
    await source.execute("device_add", { driver: "virtio-scsi-pci", id: "scsi1", bus: "rp2" });
    await source.hmp(
      `drive_add 0 if=none,id=legacy,file=${here}/hot.raw,format=raw,cache=writethrough`,
    );
    // More digits than JavaScript's numbers have.
    await source.hmp(
      "device_add scsi-hd,id=sd1,drive=legacy,bus=scsi1.0,lun=5,wwn=0x5000c50015ea71ad,rotation_rate=1",
    );
    await source.execute("netdev_add", {
      ...{ type: "user", id: "n1", net: "10.9.0.0/24", hostfwd: [{ str: "tcp:127.0.0.1:0-:22" }] },
    });
    await source.execute("device_add", {
      ...{
        driver: "virtio-net-pci",
        id: "net1",
        netdev: "n1",
        bus: "rp3",
        mac: "52:54:00:aa:bb:cc",
      },
      ...{ host_mtu: 1400 },
    });
    await source.execute("netdev_add", {
      ...{ type: "tap", id: "n2", ifname: "vmferry-d%d", script: "no", downscript: "no" },
    });
    await source.execute("device_add", { driver: "e1000e", id: "net2", netdev: "n2", bus: "rp6" });
    await source.execute("object-add", {
      "qom-type": "memory-backend-ram",
      id: "m1",
      size: 128 << 20,
    });
    await source.execute("device_add", { driver: "pc-dimm", id: "dimm1", memdev: "m1", slot: 2 });
    await source.execute("device_add", { driver: "usb-tablet", id: "tablet", bus: "xhci.0" });
    const cpus = await source.execute("query-hotpluggable-cpus") as {
      type: string;
      props: Record<string, unknown>;
      "qom-path"?: string;
    }[];
    const free = cpus.find((cpu) => cpu["qom-path"] === undefined)!;
    await source.execute("device_add", { driver: free.type, id: "cpu2", ...free.props });
    await source.execute("chardev-add", {
      ...{ id: "c1", backend: { type: "null", data: {} } },
    });
    await source.execute("device_add", { driver: "virtio-serial-pci", id: "vs", bus: "rp4" });
    await source.execute("device_add", {
      ...{ driver: "virtserialport", id: "port1", chardev: "c1", name: "org.example.0" },
    });
    await source.execute("device_add", { driver: "virtio-rng-pci", bus: "rp5" });
    await source.execute("netdev_add", { type: "user", id: "spare" });
    const { facts, differences } = await roundTrip(source, there);
    assertEquals([facts.problems, facts.warnings, differences], [[], [], []]);
    assertEquals(facts.images.map(({ name }) => name).sort(), ["sd1", "vd0", "vd1"]);
    assertEquals(facts.images.find(({ name }) => name === "vd1")?.clusterSize, 16384);
  },

  async replaced(context, here, there) {
    for (const name of ["d0", "d1", "d2", "d3", "base"]) {
      await run(["qemu-img", "create", "-q", "-f", "qcow2", `${here}/${name}.qcow2`, "16M"]);
    }
    await run(["qemu-img", "create", "-q", "-f", "raw", `${here}/old.iso`, "1M"]);
    await run(["qemu-img", "create", "-q", "-f", "raw", `${here}/new.iso`, "2M"]);
    await run(["qemu-img", "create", "-q", "-f", "raw", `${here}/r0.raw`, "8M"]);
    const over = ["-b", "base.qcow2", "-F", "qcow2", `${here}/over.qcow2`];
    await run(["qemu-img", "create", "-q", "-f", "qcow2", ...over]);
    const source = context.use(
      await Machine.start("source", here, [
        ...base(),
        ...[
          "-blockdev",
          '{"driver":"file","filename":"base.qcow2","node-name":"bf","read-only":true}',
        ],
        ...["-blockdev", "driver=qcow2,node-name=base,file=bf,read-only=on"],
        ...[
          "-blockdev",
          "driver=qcow2,node-name=over,file.driver=file,file.filename=over.qcow2,backing=base",
        ],
        ...["-device", "scsi-hd,drive=over,id=sd4"],
        ...["-drive", "file=r0.raw,if=none,id=r0,format=raw", "-device", "scsi-hd,drive=r0,id=sd5"],
        ...[
          "-drive",
          "file=d0.qcow2,if=none,id=d0,format=qcow2",
          "-device",
          "scsi-hd,drive=d0,id=sd0",
        ],
        ...["-drive", "file=d1.qcow2,if=virtio,format=qcow2"],
        ...["-blockdev", '{"driver":"file","filename":"d2.qcow2","node-name":"f2"}'],
        ...["-blockdev", "driver=qcow2,node-name=q2,file=f2", "-device", "scsi-hd,drive=q2,id=sd2"],
        ...["-drive", "file=old.iso,if=none,id=cd0,media=cdrom,format=raw"],
        ...["-device", "scsi-cd,drive=cd0,id=changed"],
        ...[
          "-blockdev",
          "driver=raw,node-name=cd1,read-only=on,file.driver=file,file.filename=old.iso",
        ],
        ...["-device", "scsi-cd,drive=cd1,id=ejected", "-device", "scsi-cd,id=filled"],
        ...["-drive", "if=none,id=cd2,media=cdrom", "-device", "scsi-cd,drive=cd2,id=loaded"],
        ...["-cdrom", "old.iso", "-drive", "if=none,id=unused,file=d3.qcow2"],
      ]),
    );
    await source.execute("blockdev-snapshot-sync", {
      ...{ device: "d0", "snapshot-file": `${here}/overlay.qcow2`, format: "qcow2" },
    });
    await source.execute("blockdev-snapshot-sync", {
      ...{ device: "r0", "snapshot-file": `${here}/overlay2.qcow2`, format: "qcow2" },
    });
    await source.execute("block_resize", { device: "virtio0", size: 24 << 20 });
    await source.execute("blockdev-snapshot-sync", {
      ...{ device: "virtio0", "snapshot-file": `${here}/overlay1.qcow2`, format: "qcow2" },
    });
    await source.execute("drive-mirror", {
      ...{
        "job-id": "pivot",
        device: "q2",
        target: `${here}/mirrored.raw`,
        format: "raw",
        sync: "full",
      },
    });
    await jobReady(source, "pivot");
    await source.execute("block-job-complete", { device: "pivot" });
    await jobGone(source, "pivot");
    const medium = (id: string) =>
      source.execute("blockdev-change-medium", { id, filename: "new.iso", format: "raw" });
    await medium("changed");
    await medium("filled");
    await medium("loaded");
    // Not blockdev-open-tray and blockdev-remove-medium: firmware resets the controller between them, which
    // closes the tray.
    await source.execute("eject", { id: "ejected", force: true });
    await source.hmp("change ide2-cd0 new.iso raw");
    const { facts, argv, differences } = await roundTrip(source, there);
    assertEquals([facts.problems, differences], [[], []], argv.join(" "));
    assertEquals(facts.warnings.length, 1, facts.warnings.join("\n"));
    assertMatch(facts.warnings[0]!, /drive unused of the command line belongs to no device/);
    const image = (name: string) => facts.images.find((i) => i.name === name);
    assertEquals(image("sd0")?.path, `${here}/d0.qcow2`);
    assertEquals(image("sd0")?.active, `${here}/overlay.qcow2`);
    assertEquals(image("virtio0")?.virtualSize, 24 << 20);
    assertEquals([image("sd2")?.path, image("sd2")?.format], [`${here}/d2.qcow2`, "qcow2"]);
    assertEquals(image("sd2")?.active, `${here}/mirrored.raw`);
    const media = ["changed", "filled", "loaded", "ide2-cd0"].map((name) => image(name)?.path);
    assertEquals(media, media.map(() => `${here}/new.iso`));
    assertEquals(image("ejected"), undefined);
    assertEquals([image("sd5")?.format, image("sd5")?.clusterSize], ["raw", null]);
    assertEquals(image("sd4")?.backing, { path: `${here}/base.qcow2`, format: "qcow2" });
    assertEquals(argv.filter((word) => /base/.test(word)), [], "it arrives flat");
  },

  async unplugged(context, here, there) {
    for (const name of ["d0", "d1"]) {
      await run(["qemu-img", "create", "-q", "-f", "qcow2", `${here}/${name}.qcow2`, "16M"]);
    }
    const source = context.use(
      await Machine.start("source", here, [
        ...base(),
        ...["-drive", "file=d0.qcow2,if=none,id=d0", "-device", "scsi-hd,drive=d0,id=sd0"],
        ...["-blockdev", '{"driver":"file","filename":"d1.qcow2","node-name":"f1"}'],
        ...["-blockdev", "driver=qcow2,node-name=q1,file=f1", "-device", "scsi-hd,drive=q1,id=sd1"],
        ...["-device", "usb-tablet,id=tablet,bus=xhci.0", "-device", "usb-kbd,id=kbd,bus=xhci.0"],
        ...["-netdev", "user,id=n1", "-device", "usb-net,netdev=n1,id=net1,bus=xhci.0"],
      ]),
    );
    for (const id of ["sd0", "sd1", "tablet", "net1"]) await source.execute("device_del", { id });
    await poll("the devices' removal", async () => {
      const devices = await source.execute("qom-list", { path: "/machine/peripheral" });
      const drives = await source.execute("query-block");
      return /"(sd[01]|tablet|net1|d0)"/.test(JSON.stringify([devices, drives])) ? undefined : true;
    });
    const { facts, argv, differences } = await roundTrip(source, there);
    assertEquals([facts.problems, facts.warnings, differences], [[], [], []], argv.join(" "));
    assertEquals(facts.images, []);
    assertEquals([...facts.removed].sort(), [
      "d0",
      "f1",
      "net1",
      "q1",
      "sd0",
      "sd1",
      "tablet",
    ]);
    assertEquals(argv.filter((word) => /d[01]\.qcow2|usb-net|usb-tablet/.test(word)), []);
  },
};

interface Job {
  readonly device: string;
  readonly ready: boolean;
}

async function jobReady(machine: Machine, id: string): Promise<void> {
  await until(machine, (jobs) => jobs.some((job) => job.device === id && job.ready));
}

async function jobGone(machine: Machine, id: string): Promise<void> {
  await until(machine, (jobs) => !jobs.some((job) => job.device === id));
}

async function until(machine: Machine, holds: (jobs: readonly Job[]) => boolean): Promise<void> {
  while (!holds(await machine.execute("query-block-jobs") as Job[])) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
