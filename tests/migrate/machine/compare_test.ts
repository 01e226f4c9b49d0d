import { assertEquals } from "@std/assert";
import { compareMachines, staysBehindIn } from "../../../src/migrate/machine/compare.ts";
import { ALLOWABLE, type Difference, judge, RULES } from "../../../src/migrate/machine/rules.ts";
import { bus, device, inventory, onPci, virtio } from "./devices.ts";

const told = (differences: readonly Difference[]) =>
  differences.map(({ rule, message }) => `${rule}: ${message}`);

Deno.test("two equal machines have no differences", () => {
  assertEquals(compareMachines(inventory(), inventory()), []);
});

Deno.test("a CPU feature that the destination lacks is named", () => {
  const there = inventory([], {}, { type: "Nehalem-x86_64-cpu", words: { "7.0.EBX": 0b0110 } });
  const names = { source: ["avx", "bmi1"], destination: ["bmi1", "hle"] };
  assertEquals(told(compareMachines(inventory(), there, names)), [
    "cpu-model: CPU qemu64 at the source, Nehalem at the destination: the destination lacks avx",
    "cpu-extra: CPU qemu64 at the source, Nehalem at the destination: the source lacks hle",
  ]);
});

Deno.test("a CPU feature without a name is reported by its CPUID bit", () => {
  const there = inventory([], {}, { words: { "7.0.EBX": 0b0001 } });
  assertEquals(told(compareMachines(inventory(), there)), [
    "cpu-model: CPU qemu64 at the source, qemu64 at the destination: the destination lacks CPUID " +
    "7.0.EBX bit 1",
  ]);
});

Deno.test("Hyper-V enlightenments, which no CPUID word shows, are compared by name", () => {
  const hv = inventory([], {}, { switches: { "hv-relaxed": "true" } });
  assertEquals(told(compareMachines(hv, inventory())), [
    "cpu-model: CPU qemu64 at the source, qemu64 at the destination: the destination lacks hv-relaxed",
  ]);
  assertEquals(compareMachines(inventory(), hv).map((d) => d.rule), ["cpu-extra"]);
  const unknown = inventory([], {}, { switches: null });
  assertEquals(compareMachines(hv, unknown), []);
});

Deno.test("vCPUs of another family and model are one difference", () => {
  const here = inventory([], {}, { identity: { vendor: "x", family: "6", model: "26" } });
  const there = inventory([], {}, { identity: { vendor: "x", family: "15", model: "107" } });
  assertEquals(told(compareMachines(here, there)), [
    "cpu-identity: the vCPUs have family 6, model 26 at the source and family 15, model 107 at the " +
    "destination",
  ]);
});

Deno.test("CPUID bits that derive from the number of cores are no difference", () => {
  const here = inventory([], {}, { words: { "1.EDX": (1 << 28) >>> 0 } });
  assertEquals(compareMachines(here, inventory([], {}, { words: {} })), []);
});

Deno.test("CPU models must be equal where QEMU reports no features", () => {
  const arm = (type: string) => inventory([], {}, { type, words: {}, identity: {} });
  const differences = compareMachines(arm("cortex-a57-arm-cpu"), arm("max-arm-cpu"));
  assertEquals(told(differences), [
    "cpu-model: CPU cortex-a57 at the source, max at the destination",
  ]);
});

Deno.test("another accelerator is one difference, without its consequences", () => {
  const tcg = inventory(onPci(), { accelerator: "tcg" }, { words: {}, identity: { family: "6" } });
  const kvm = inventory(onPci(device("kvmvapic", "", {})));
  assertEquals(told(compareMachines(kvm, tcg)), [
    "accelerator: the source runs the guest with KVM, the destination with TCG",
  ]);
});

Deno.test("RAM blocks must have the same names and sizes, resizable ROMs the same maximum", () => {
  const block = (name: string, usedBytes: number, maxBytes = usedBytes) => ({
    name,
    usedBytes,
    maxBytes,
  });
  const of = (...ramBlocks: ReturnType<typeof block>[]) => inventory([], { ramBlocks });
  assertEquals(
    compareMachines(
      of(block("/rom@etc/acpi/tables", 1, 9)),
      of(block("/rom@etc/acpi/tables", 2, 9)),
    ),
    [],
  );
  assertEquals(
    told(compareMachines(of(block("pc.ram", 8), block("dimm1", 4)), of(block("pc.ram", 16)))),
    [
      "ram-block: RAM block pc.ram has 8 bytes at the source and 16 bytes at the destination",
      "ram-block: the destination has no RAM block dimm1 (4 bytes)",
    ],
  );
});

Deno.test("a ROM of a device that one side lacks is no difference beside the device", () => {
  const rom = { name: "0000:00:02.0/virtio-net-pci.rom", usedBytes: 1, maxBytes: 1 };
  const here = inventory(onPci(virtio("net", "net0", "02.0")), { ramBlocks: [rom] });
  const there = inventory(onPci(), { ramBlocks: [] });
  assertEquals(told(compareMachines(here, there)), [
    "device: the destination has no device virtio-net-pci at 0000:00:02.0 (id net0)",
  ]);
});

Deno.test("switches of the machine, TPMs, queue pairs, maxcpus and media are compared", () => {
  const here = inventory([], {
    properties: { smm: "on", acpi: "auto" },
    nicQueues: { net0: 4 },
    tpms: ["tpm-crb"],
    media: [{ name: "cd", sizeBytes: 2048 }],
  }, { possible: 4 });
  const there = inventory([], {
    properties: { smm: "off", acpi: "on" },
    nicQueues: { net0: 1 },
    media: [{ name: "cd", sizeBytes: null }],
  }, { possible: 2 });
  assertEquals(compareMachines(here, there).map((d) => d.rule), [
    ...["cpu-count", "machine-property", "nic-queues", "tpm", "medium"] as const,
  ]);
});

Deno.test("a drive without an id is compared with the one at the same place", () => {
  const drive = (addr: string, drive: string) => device("ide-cd", "", { unit: addr, drive });
  const onIde = (...drives: string[]) =>
    onPci(
      device(
        "piix3-ide",
        "",
        { addr: "01.1" },
        ...drives.map((name, i) => bus(`ide.${i}`, "IDE", drive("0", name))),
      ),
    );
  const at = (drives: string[], sizes: number[]) =>
    inventory(onIde(...drives), {
      media: sizes.map((sizeBytes, i) => ({ name: drives[i]!, sizeBytes })),
    });
  const source = at(["a", "b", ""], [2048, 4096]);
  assertEquals(told(compareMachines(source, at(["x", "y", ""], [2048, 4096]))), []);
  assertEquals(told(compareMachines(source, at(["x", "y", ""], [4096, 2048]))), [
    "medium: drive a holds a medium of 2048 bytes at the source and a medium of 4096 bytes at the destination",
    "medium: drive b holds a medium of 4096 bytes at the source and a medium of 2048 bytes at the destination",
  ]);
  assertEquals(told(compareMachines(source, at(["x", "y", "z"], [2048, 4096, 512]))), [
    "medium: drive z holds no medium at the source and a medium of 512 bytes at the destination",
  ]);
  assertEquals(told(compareMachines(at(["x", "y", "z"], [2048, 4096, 512]), source)), [
    "medium: drive z holds a medium of 512 bytes at the source and no medium at the destination",
  ]);
});

Deno.test("devices on no bus are compared by their types, pluggable RAM by its limits", () => {
  const here = inventory([], {
    objects: [{ id: "", type: "vmgenid" }],
    properties: { "memory.slots": "2", "memory.max-size": "1", "qemu-xhci usb.p2": "4" },
  });
  const there = inventory([], {
    properties: { "memory.slots": "4", "memory.max-size": "1", "qemu-xhci usb.p2": "8" },
  });
  assertEquals(told(compareMachines(here, there)), [
    "machine-property: -m slots is 2 at the source and 4 at the destination",
    "machine-property: qemu-xhci usb.p2 is 4 at the source and 8 at the destination",
    "device: the source has 1 vmgenid, the destination 0",
  ]);
  const older = inventory([], { objects: null, properties: here.machine.properties });
  assertEquals(compareMachines(here, older), []);
});

Deno.test("an older destination is a note, and a machine type that does not cross versions a warning", () => {
  const of = (version: string, type = "pc-q35-7.2", target = "x86_64") =>
    inventory([], { version, type, target });
  assertEquals(compareMachines(of("7.2.22"), of("10.0.2")), []);
  assertEquals(compareMachines(of("10.0.2"), of("7.2.22")).map((d) => d.rule), ["older-qemu"]);
  const arm = (version: string) => of(version, "virt-7.2", "aarch64");
  assertEquals(compareMachines(arm("7.2.0"), arm("11.1.0")).map((d) => d.rule), ["known-pair"]);
});

Deno.test("a device with data outside the block layer is reported once, for any virtio transport", () => {
  const devices = onPci(
    virtio("pmem", "pm0", "01.0"),
    device("vhost-user-blk-pci", "vu0", { addr: "02.0" }),
    device("vhost-vdpa-device-pci", "", { addr: "03.0" }),
    virtio("blk", "vd0", "04.0"),
    device("nvdimm", "", {}),
  );
  assertEquals(
    told(staysBehindIn(inventory(devices))),
    [
      "virtio-pmem-pci at 0000:00:01.0 (id pm0)",
      "vhost-user-blk-pci at 0000:00:02.0 (id vu0)",
      "vhost-vdpa-device-pci at 0000:00:03.0",
    ].map((name) =>
      `outside-data: device ${name} keeps its data outside QEMU's block layer: vmferry cannot copy it`
    ),
  );
});

Deno.test("only a refusal can be allowed, and becomes a warning", () => {
  const differences: Difference[] = [
    { rule: "device", message: "a" },
    { rule: "cpu-extra", message: "b" },
    { rule: "medium", message: "c" },
  ];
  const messages = (list: readonly Difference[]) => list.map(({ message }) => message).join();
  const strict = judge(differences, []);
  assertEquals([strict.refused, strict.warned, strict.noted].map(messages), ["a", "c", "b"]);
  const lax = judge(differences, ["device"]);
  assertEquals([lax.refused, lax.warned, lax.noted].map(messages), ["", "a,c", "b"]);
  assertEquals(ALLOWABLE.every((name) => RULES[name].severity === "refuse"), true);
});
