import { assertEquals } from "@std/assert";
import { parseNicQueues, parseQtree, parseRamBlocks } from "../../src/qmp/mod.ts";

/** What QEMU 7.2 prints, shortened. */
const TREE = [
  "bus: main-system-bus",
  "  type System",
  '  dev: kvm-ioapic, id ""',
  '    gpio-in "" 24',
  "    gsi_base = 0 (0x0)",
  "    mmio 00000000fec00000/0000000000001000",
  '  dev: q35-pcihost, id ""',
  "    MCFG = -1 (0xffffffffffffffff)",
  "    bus: pcie.0",
  "      type PCIE",
  '      dev: qemu-xhci, id "usb"',
  "        addr = 05.0",
  '        romfile = ""',
  "        class USB controller, addr 00:05.0, pci id 1b36:000d (sub 1af4:1100)",
  "        bus: usb.0",
  "          type usb-bus",
  '          dev: usb-tablet, id "tab"',
  '            port = ""',
  "            addr 0.0, port 1, speed 480, name QEMU USB Tablet, attached",
  '      dev: virtio-blk-pci, id "vd0"',
  "        addr = 01.0",
  "        vectors = 3 (0x3)",
  "        bus: virtio-bus",
  "          type virtio-pci-bus",
  '          dev: virtio-blk-device, id ""',
  '            drive = "d0"',
  "            physical_block_size = 512 (512 B)",
].join("\r\n");

Deno.test("info qtree becomes buses and devices with their properties", () => {
  const [root, ...others] = parseQtree(TREE);
  assertEquals([root?.name, root?.type, others.length], ["main-system-bus", "System", 0]);
  const [ioapic, host] = root!.devices;
  assertEquals(ioapic?.properties, { gsi_base: "0" });
  assertEquals(host?.properties, { MCFG: "-1" });
  const [xhci, disk] = host!.buses[0]!.devices;
  assertEquals([xhci?.type, xhci?.id, xhci?.properties], [
    "qemu-xhci",
    "usb",
    { addr: "05.0", romfile: "" },
  ]);
  const tablet = xhci!.buses[0]!.devices[0]!;
  assertEquals([tablet.usbPort, tablet.properties], ["1", { port: "" }]);
  const part = disk!.buses[0]!.devices[0]!;
  assertEquals([part.type, part.properties], [
    "virtio-blk-device",
    { drive: "d0", physical_block_size: "512" },
  ]);
});

Deno.test("text that is no device tree becomes an empty one", () => {
  assertEquals(parseQtree(""), []);
  assertEquals(parseQtree('  dev: nobody, id "x"\n    addr = 1\nnonsense'), []);
});

Deno.test("info ramblock becomes names and sizes, with the columns of QEMU 7.2 and of 10.0", () => {
  const text = [
    "              Block Name    PSize              Offset               Used              Total",
    "                  pc.ram    4 KiB  0x0000000008000000 0x0000000008000000 0x0000000008000000",
    "    /rom@etc/acpi/tables    4 KiB  0x0000000011100000 0x0000000000020000 0x0000000000200000",
    "   0000:00:04.0/vga.vram    2 MiB  0x00000000100c0000 0x0000000001000000 0x0000000001000000 " +
    " 0x00007ff160200000  rw",
  ].join("\r\n");
  assertEquals(parseRamBlocks(text), [
    { name: "pc.ram", usedBytes: 2 ** 27, maxBytes: 2 ** 27 },
    { name: "/rom@etc/acpi/tables", usedBytes: 2 ** 17, maxBytes: 2 ** 21 },
    { name: "0000:00:04.0/vga.vram", usedBytes: 2 ** 24, maxBytes: 2 ** 24 },
  ]);
});

Deno.test("info network gives the number of queue pairs of each NIC", () => {
  const text = [
    "net0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56",
    " \\ n0: index=0,type=tap,ifname=tap0",
    "net0: index=1,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56",
    " \\ n0: index=1,type=tap,ifname=tap0",
    "e0: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:57",
  ].join("\r\n");
  assertEquals(parseNicQueues(text), { net0: 2, e0: 1 });
});
