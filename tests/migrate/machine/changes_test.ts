import { assertEquals } from "@std/assert";
import { changesBetween, type MachineLook } from "../../../src/migrate/machine/changes.ts";
import { device, onPci, virtio } from "./devices.ts";

const disk = (name: string, sizeBytes: number) => ({
  name,
  sizeBytes,
  readOnly: false,
  empty: false,
});
const vd0 = virtio("blk", "vd0", "01.0");

function look(more: Partial<MachineLook> = {}): MachineLook {
  return {
    devices: onPci(vd0),
    vcpus: 1,
    ramBlocks: [{ name: "pc.ram", usedBytes: 8, maxBytes: 8 }],
    disks: [disk("vd0", 1024)],
    blockers: [],
    jobs: [],
    ...more,
  };
}

Deno.test("a machine that is as it was has not changed", () => {
  assertEquals(changesBetween(look(), look()), []);
});

Deno.test("a disk that comes or goes is told by its device, once", () => {
  const now = look({
    devices: onPci(vd0, virtio("blk", "vd1", "02.0")),
    disks: [disk("vd0", 1024), disk("vd1", 1024)],
  });
  assertEquals(changesBetween(look(), now), [
    "device virtio-blk-pci at 0000:00:02.0 (id vd1) was added",
  ]);
  assertEquals(changesBetween(now, look()), [
    "device virtio-blk-pci at 0000:00:02.0 (id vd1) was removed",
  ]);
});

Deno.test("another device at the same place is one that went and one that came", () => {
  const now = look({ devices: onPci(vd0, device("e1000", "n", { addr: "02.0" })) });
  const then = look({ devices: onPci(vd0, device("e1000", "m", { addr: "02.0" })) });
  assertEquals(changesBetween(then, now).length, 2);
});

Deno.test("vCPUs, DIMMs, sizes of disks, jobs and blockers are watched", () => {
  const now = look({
    vcpus: 2,
    ramBlocks: [...look().ramBlocks, { name: "m1", usedBytes: 4, maxBytes: 4 }],
    disks: [disk("vd0", 2048)],
    jobs: ["backup"],
    blockers: ["9pfs"],
  });
  assertEquals(changesBetween(look(), now), [
    "disk vd0 was resized from 1024 to 2048 bytes",
    "the number of vCPUs changed from 1 to 2",
    "memory m1 of 4 bytes was added",
    'block job "backup" was started',
    "QEMU refuses to migrate the guest now: 9pfs",
  ]);
  assertEquals(changesBetween(now, look()).slice(-1), ["memory m1 was removed"]);
});

Deno.test("a CD that is changed, and ROMs that QEMU resizes, are no change of the machine", () => {
  const cd = (empty: boolean) => ({ name: "cd", sizeBytes: 0, readOnly: true, empty });
  const rom = (usedBytes: number) => ({ name: "/rom@etc/acpi/tables", usedBytes, maxBytes: 9 });
  const then = look({ disks: [cd(false)], ramBlocks: [rom(1)] });
  assertEquals(changesBetween(then, look({ disks: [cd(true)], ramBlocks: [rom(2)] })), []);
});
