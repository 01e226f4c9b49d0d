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

Deno.test("an unchanged machine has no changes", () => {
  assertEquals(changesBetween(look(), look()), []);
});

Deno.test("a disk that is added or removed is reported once, by its device", () => {
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

Deno.test("another device at the same place is one removed and one added", () => {
  const now = look({ devices: onPci(vd0, device("e1000", "n", { addr: "02.0" })) });
  const then = look({ devices: onPci(vd0, device("e1000", "m", { addr: "02.0" })) });
  assertEquals(changesBetween(then, now).length, 2);
});

Deno.test("changes of vCPUs, DIMMs, disk sizes, block jobs and blockers are found", () => {
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
    "RAM block m1 of 4 bytes was added",
    'block job "backup" was started',
    "QEMU can no longer migrate the guest: 9pfs",
  ]);
  assertEquals(changesBetween(now, look()).slice(-1), ["RAM block m1 was removed"]);
});

Deno.test("a changed CD and a ROM that QEMU resizes are no changes of the machine", () => {
  const cd = (empty: boolean) => ({ name: "cd", sizeBytes: 0, readOnly: true, empty });
  const rom = (usedBytes: number) => ({ name: "/rom@etc/acpi/tables", usedBytes, maxBytes: 9 });
  const then = look({ disks: [cd(false)], ramBlocks: [rom(1)] });
  assertEquals(changesBetween(then, look({ disks: [cd(true)], ramBlocks: [rom(2)] })), []);
});
