import { assertEquals, assertMatch } from "@std/assert";
import { deviceOption } from "../../../src/launch/describe/device_options.ts";
import type { AddedDevice, Property } from "../../../src/launch/describe/machine_state.ts";

function device(type: string, more: Partial<AddedDevice> = {}): AddedDevice {
  return {
    ...{ path: "/machine/peripheral/x", id: "x", type, hotplugged: true, place: {} },
    ...{ bus: "/machine/q35/pcie.0", usbPort: undefined, topology: null, properties: [], ...more },
  };
}

const property = (name: string, type: string, value: unknown, initial?: unknown): Property => ({
  ...{ name, type, value, initial },
});

const optionOf = (...args: Parameters<typeof deviceOption>) => deviceOption(...args).value;

Deno.test("a property at its default is left out, any other is set", () => {
  const properties = [
    property("ats", "bool", false, false),
    property("packed", "bool", true, false),
    property("serial", "str", "a,b"),
    property("duplex", "str", ""),
    property("bootindex", "int32", -1),
    property("speed", "int32", -1, 18446744073709551615),
  ];
  const place = { addr: "1d.2" };
  assertEquals(
    optionOf(device("virtio-blk-pci", { properties, place })),
    "virtio-blk-pci,id=x,bus=pcie.0,addr=1d.2,packed=on,serial=a,,b",
  );
});

Deno.test("a PCI address without an id is written in hexadecimal digits", () => {
  const properties = [property("addr", "int32", 0xea, -1)];
  const anonymous = device("virtio-rng-pci", { id: "", properties });
  assertEquals(optionOf(anonymous), "virtio-rng-pci,bus=pcie.0,addr=1d.2");
});

Deno.test("a DIMM keeps its address in RAM", () => {
  const properties = [
    property("addr", "uint64", 4294967296, 0),
    property("memdev", "link<memory-backend>", "/objects/m1"),
    property("size", "uint64", 1 << 27),
  ];
  assertEquals(
    optionOf(device("pc-dimm", { bus: "", properties })),
    "pc-dimm,id=x,addr=4294967296,memdev=m1",
  );
});

Deno.test("a number that JavaScript cannot hold keeps its digits, in JSON too", () => {
  const wwn = {
    ...property("wwn", "uint64", 5764824127192592000, 0),
    digits: "5764824127192592813",
  };
  assertEquals(
    optionOf(device("scsi-hd", { bus: "", properties: [wwn] })),
    "scsi-hd,id=x,wwn=5764824127192592813",
  );
  const list = property("iothread-vq-mapping", "list", [{ iothread: "io1" }]);
  assertEquals(
    optionOf(device("virtio-blk-pci", { bus: "", properties: [wwn, list] })),
    '{"driver":"virtio-blk-pci","id":"x","wwn":5764824127192592813,' +
      '"iothread-vq-mapping":[{"iothread":"io1"}]}',
  );
});

Deno.test("a vCPU has its place and no features, which -cpu sets for all", () => {
  const topology = { "node-id": 0, "socket-id": 1, "core-id": 2, "thread-id": 0 };
  const properties = [property("avx", "bool", true, false)];
  assertEquals(
    optionOf(device("qemu64-x86_64-cpu", { bus: "", topology, properties })),
    "qemu64-x86_64-cpu,id=x,socket-id=1,core-id=2,thread-id=0",
  );
});

Deno.test("a drive is named as it is opened, an empty one is not named", () => {
  const properties = [property("drive", "str", "#block12")];
  const disk = device("scsi-hd", { bus: "", properties });
  assertEquals(optionOf(disk, new Map([["#block12", "drive-x"]])), "scsi-hd,id=x,drive=drive-x");
  assertEquals(optionOf(disk, new Map([["#block12", ""]])), "scsi-hd,id=x");
});

Deno.test("a part that a device makes by itself is not named", () => {
  const rng = "/machine/peripheral/x/virtio-backend/default-backend";
  const properties = [property("rng", "link<rng-backend>", rng)];
  assertEquals(optionOf(device("virtio-rng-pci", { bus: "", properties })), "virtio-rng-pci,id=x");
});

Deno.test("a device of the host is refused by its type and id", () => {
  for (const type of ["vfio-pci", "usb-host", "vhost-user-blk-pci", "virtio-pmem-pci"]) {
    const { problem } = deviceOption(device(type));
    assertMatch(
      problem ?? "",
      new RegExp(`^device ${type} \\(id x\\) .* remove it from the guest`),
    );
  }
});
