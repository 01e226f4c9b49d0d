import { assertEquals } from "@std/assert";
import { compareDevices } from "../../../src/migrate/machine/compare_devices.ts";
import { bus, device, onPci, virtio } from "./devices.ts";

const disk = virtio("blk", "vd0", "01.0", { drive: "d0", "num-queues": "1", serial: "a" });
const nic = virtio("net", "net0", "02.0", { netdev: "n0", mac: "52:54:00:00:00:01" });

const told = (...args: Parameters<typeof compareDevices>) =>
  compareDevices(...args).map(({ rule, message }) => `${rule}: ${message}`);

Deno.test("two equal device trees have no differences, in any order of creation", () => {
  assertEquals(told(onPci(disk, nic), onPci(disk, nic)), []);
  assertEquals(told(onPci(disk, nic), onPci(nic, disk)), []);
});

Deno.test("a device that one side lacks is named by address and id, without its parts", () => {
  assertEquals(told(onPci(disk, nic), onPci(disk)), [
    "device: the destination has no device virtio-net-pci at 0000:00:02.0 (id net0)",
  ]);
  assertEquals(told(onPci(disk), onPci(disk, nic)), [
    "device: the source has no device virtio-net-pci at 0000:00:02.0 (id net0), the destination " +
    "has it",
  ]);
});

Deno.test("another device at the same address is one difference", () => {
  const e1000 = device("e1000", "net0", { addr: "02.0" });
  assertEquals(told(onPci(disk, nic), onPci(disk, e1000)), [
    "device: device virtio-net-pci at 0000:00:02.0 (id net0) of the source is e1000 at " +
    "0000:00:02.0 (id net0) at the destination",
  ]);
});

Deno.test("a device in another slot is one difference", () => {
  const there = virtio("net", "net0", "03.0", { netdev: "n0" });
  assertEquals(told(onPci(disk, nic), onPci(disk, there)), [
    "device: device virtio-net-pci (id net0) is at 0000:00:02.0 at the source and at 0000:00:03.0 " +
    "at the destination",
  ]);
});

Deno.test("a property that names a part of the host is no difference", () => {
  const there = virtio("blk", "vd0", "01.0", { drive: "other", "num-queues": "1", serial: "a" });
  assertEquals(told(onPci(disk), onPci(there)), []);
});

Deno.test("a link to a device without an id is no difference", () => {
  const at = (n: number) =>
    onPci(device("vmmouse", "", { i8042: `/machine/unattached/device[${n}]` }));
  assertEquals(told(at(16), at(17)), []);
});

Deno.test("a property that only one of two QEMU versions has is no difference", () => {
  const there = virtio("blk", "vd0", "01.0", {
    drive: "d0",
    "num-queues": "1",
    serial: "a",
    x: "1",
  });
  assertEquals(told(onPci(disk), onPci(there)), []);
  assertEquals(told(onPci(there), onPci(disk)), []);
});

Deno.test("different queues are refused, a different serial number is a warning", () => {
  const there = virtio("blk", "vd0", "01.0", { "num-queues": "2", serial: "b" });
  assertEquals(told(onPci(disk), onPci(there)), [
    "device-property: device virtio-blk-pci at 0000:00:01.0 (id vd0) has num-queues=1 at the source " +
    "and num-queues=2 at the destination",
    "device-identity: device virtio-blk-pci at 0000:00:01.0 (id vd0) has serial=a at the source and " +
    "serial=b at the destination",
  ]);
});

Deno.test("a virtio feature may be added, but not removed", () => {
  const [less, more] = ["false", "true"].map((packed) => virtio("blk", "vd0", "01.0", { packed }));
  assertEquals(told(onPci(less!), onPci(more!)).map((d) => d.split(":")[0]), ["device-feature"]);
  assertEquals(told(onPci(more!), onPci(less!)).map((d) => d.split(":")[0]), ["device-property"]);
});

Deno.test("disks of a SCSI controller are matched by their addresses, behind ports too", () => {
  const at = (lun: string) =>
    device("scsi-hd", "sd0", { channel: "0", "scsi-id": "0", lun, drive: "d0" });
  const scsi = (lun: string) => virtio("scsi", "sc0", "00.0", {}, bus("sc0.0", "SCSI", at(lun)));
  const port = (lun: string) =>
    device("pcie-root-port", "rp1", { addr: "02.0", chassis: "1" }, bus("rp1", "PCIE", scsi(lun)));
  assertEquals(told(onPci(port("0")), onPci(port("0"))), []);
  assertEquals(told(onPci(port("0")), onPci(port("1"))), [
    "device: device scsi-hd (id sd0) is at sc0.0 0:0:0 at the source and at sc0.0 0:0:1 at the " +
    "destination",
  ]);
});

Deno.test("KVM's interrupt controllers match QEMU's", () => {
  const ioapic = (type: string) => onPci(device(type, "", { addr: "04.0" }));
  assertEquals(told(ioapic("kvm-ioapic"), ioapic("ioapic")), []);
});
