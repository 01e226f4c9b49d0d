import { assertEquals, assertMatch } from "@std/assert";
import { accelerator } from "../support/qemu_arguments.ts";
import { run } from "../support/run_checked.ts";
import type { Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { Machine, roundTrip } from "./described/machine.ts";
import { base, type Story, tellAll } from "./described/stories.ts";

/** Drives, firmware and addresses that QEMU chooses by itself are described, too. */
export const scenario: Scenario = {
  name: "described_own",
  about: "a description makes the same machine again with the drives and addresses that QEMU chose",
  timeoutMs: 180_000,
  long: true,
  async run(context) {
    await tellAll(context, STORIES);
  },
};

const STORIES: Readonly<Record<string, Story>> = {
  async defaults(context, here, there) {
    await run(["qemu-img", "create", "-q", "-f", "qcow2", `${here}/d0.qcow2`, "16M"]);
    await run(["qemu-img", "create", "-q", "-f", "raw", `${here}/new.iso`, "2M"]);
    await run(["qemu-img", "create", "-q", "-f", "raw", `${here}/floppy.img`, "1440k"]);
    const source = context.use(
      await Machine.start("source", here, [
        ...["-machine", "pc", "-accel", accelerator(), "-display", "none", "-hda", "d0.qcow2"],
        ...["-qmp", "unix:qmp.sock,server=on,wait=off", "-vga", "std"],
      ]),
    );
    await source.execute("blockdev-snapshot-sync", {
      ...{ device: "ide0-hd0", "snapshot-file": `${here}/overlay.qcow2`, format: "qcow2" },
    });
    await source.hmp("change ide1-cd0 new.iso raw");
    await source.hmp("change floppy0 floppy.img raw");
    await source.execute("device_add", { driver: "virtio-balloon-pci", id: "b0", addr: "0x1d" });
    const { facts, argv, differences } = await roundTrip(source, there);
    assertEquals([facts.problems, facts.warnings, differences], [[], [], []], argv.join(" "));
    assertEquals(facts.images.map(({ name, path }) => [name, path.split("/").at(-1)]), [
      ["ide0-hd0", "d0.qcow2"],
      ["ide1-cd0", "new.iso"],
      ["floppy0", "floppy.img"],
    ]);
  },

  async plugged(context, here, there) {
    for (const name of ["d1", "d2", "d3", "d4"]) {
      await run(["qemu-img", "create", "-q", "-f", "raw", `${here}/${name}`, "8M"]);
    }
    const source = context.use(
      await Machine.start("source", here, [
        ...base(),
        ...["-machine", "nvdimm=on"],
        ...["-nic", "user,model=virtio-net-pci", "-net", "nic", "-net", "user"],
      ]),
    );
    const drive = (name: string, more: Record<string, unknown> = {}) =>
      source.execute("blockdev-add", {
        ...{ driver: "raw", "node-name": name, file: { driver: "file", filename: name }, ...more },
      });
    for (const name of ["d1", "d2", "d3"]) await drive(name);
    await drive("d4", { "read-only": true });
    const plug = (driver: string, more: Record<string, unknown>) =>
      source.execute("device_add", { driver, ...more });
    await plug("usb-storage", { id: "stick", drive: "d1", bus: "xhci.0", removable: true });
    await plug("pcie-pci-bridge", { id: "bridge", bus: "rp1" });
    await plug("virtio-blk-pci", { id: "below", drive: "d2", bus: "bridge", addr: "0x3" });
    await plug("ahci", { id: "ahci", bus: "bridge", addr: "0x4" });
    await plug("lsi53c895a", { id: "lsi", bus: "bridge", addr: "0x5" });
    await plug("scsi-hd", { id: "old", drive: "d3", bus: "lsi.0", "scsi-id": 4 });
    await plug("scsi-cd", { id: "cd", drive: "d4", bus: "scsi0.0" });
    await source.execute("object-add", {
      "qom-type": "memory-backend-memfd",
      id: "m1",
      size: 128 << 20,
      share: true,
    });
    await plug("virtio-mem-pci", {
      id: "vm0",
      memdev: "m1",
      bus: "rp3",
      "requested-size": 64 << 20,
    });
    await source.execute("object-add", {
      "qom-type": "memory-backend-ram",
      id: "m2",
      size: 128 << 20,
    });
    await plug("nvdimm", { id: "nv", memdev: "m2", "label-size": 128 << 10 });
    await source.execute("chardev-add", {
      ...{ id: "c1" },
      backend: {
        type: "socket",
        data: {
          addr: { type: "unix", data: { path: `${here}/c1.sock` } },
          server: true,
          wait: false,
        },
      },
    });
    await plug("virtio-serial-pci", { id: "vs", bus: "rp4", max_ports: 4 });
    await plug("virtconsole", { id: "con", chardev: "c1", nr: 2 });
    const { facts, argv, differences } = await roundTrip(source, there);
    assertEquals([facts.problems, facts.warnings, differences], [[], [], []], argv.join(" "));
    assertEquals(facts.images.map(({ name }) => name).sort(), ["below", "cd", "old", "stick"]);
  },

  async spelled(context, here, there) {
    for (const name of ["d1", "d2", "d3", "d4", "d,5"]) {
      await run(["qemu-img", "create", "-q", "-f", "qcow2", `${here}/${name}`, "8M"]);
    }
    const json = JSON.stringify({ driver: "qcow2", file: { driver: "file", filename: "d3" } });
    const source = context.use(
      await Machine.start("source", here, [
        ...base(),
        ...["-drive", `file=${here}/../${here.split("/").at(-1)}/d1,if=none,id=a`],
        ...["-device", "scsi-hd,drive=a", "-drive", "file=file:./d2,if=virtio"],
        ...["-drive", `file=json:${json.replaceAll(",", ",,")},if=none,id=c`],
        ...["-device", '{"driver":"scsi-hd","drive":"c","id":"sc"}', "d4"],
        ...[
          "-drive",
          "if=none,id=e,driver=qcow2,file.filename=d,,5",
          "-device",
          "scsi-hd,drive=e,id=se",
        ],
      ]),
    );
    const { facts, argv, differences } = await roundTrip(source, there);
    assertEquals([facts.problems, facts.warnings, differences], [[], [], []], argv.join(" "));
    assertEquals(facts.changed, []);
    assertEquals(facts.images.map(({ active }) => active), [null, null, null, null, null]);
    assertEquals(argv.filter((word) => word.includes(here)), [], "each image has another path");
  },

  async firmware(_context, here, there) {
    for (const name of ["code", "vars"]) {
      await run(["qemu-img", "create", "-q", "-f", "raw", `${here}/${name}.fd`, "256k"]);
    }
    await run(["chmod", "440", `${here}/code.fd`]);
    const flash = "if=pflash,format=raw,file=";
    const node = (name: string) =>
      `driver=raw,node-name=${name},file.driver=file,file.filename=${name}.fd`;
    const ways = [
      ["-drive", `${flash}code.fd,readonly=on`, "-drive", `${flash}vars.fd`],
      [
        ...["-machine", "pflash0=code,pflash1=vars"],
        ...["-blockdev", `${node("code")},read-only=on`, "-blockdev", node("vars")],
      ],
    ];
    for (const [i, way] of ways.entries()) {
      const dir = `${there}/${i}`;
      await Deno.mkdir(dir);
      const source = await Machine.start("source", here, [...base(), "-S", ...way]);
      await using _source = source;
      const { facts, argv, differences } = await roundTrip(source, dir);
      assertEquals([facts.problems, facts.warnings, differences], [[], [], []], argv.join(" "));
      const images = facts.images.map((
        { path, readOnly, mode, virtualSize },
      ) => [path, readOnly, mode, virtualSize]);
      assertEquals(images, [
        [`${here}/code.fd`, true, 0o440, 256 << 10],
        [`${here}/vars.fd`, false, 0o644, 256 << 10],
      ]);
    }
  },

  async addresses(context, here, there) {
    const source = context.use(
      await Machine.start("source", here, [
        ...["-machine", "pc", "-accel", accelerator(), "-nodefaults", "-display", "none"],
        ...["-m", "128M,slots=3,maxmem=1G", "-qmp", "unix:qmp.sock,server=on,wait=off"],
        ...["-device", "virtio-rng-pci,id=a", "-device", "virtio-balloon-pci,id=b"],
        ...["-device", '{"driver":"virtio-rng-pci","id":"c"}'],
        ...["-object", "memory-backend-ram,id=m1,size=128M", "-device", "pc-dimm,id=d1,memdev=m1"],
      ]),
    );
    await source.execute("device_del", { id: "a" });
    // Without an operating system a PCI device leaves at a reset.
    await source.execute("system_reset");
    await poll("the device's removal", async () => {
      const devices = await source.execute("qom-list", { path: "/machine/peripheral" });
      return (devices as { name: string }[]).some(({ name }) => name === "a") ? undefined : true;
    });
    const { facts, argv, differences } = await roundTrip(source, there);
    assertEquals([facts.problems, differences, facts.removed], [[], [], ["a"]], argv.join(" "));
    assertMatch(argv.join(" "), /virtio-balloon-pci,id=b,addr=03\.0/);
    assertMatch(argv.join(" "), /"id":"c","addr":"04\.0"/);
    assertMatch(argv.join(" "), /pc-dimm,id=d1,memdev=m1,(slot=0,addr=\d+|addr=\d+,slot=0)/);
  },
};
