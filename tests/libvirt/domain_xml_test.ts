import { assertEquals, assertThrows } from "@std/assert";
import { type DomainDisk, parseDomain, XmlFormatError } from "../../src/libvirt/mod.ts";
import { MANY_DEVICES, RUNNING } from "./domain_samples.ts";

const PLAIN: Omit<DomainDisk, "target" | "type"> = {
  bus: "virtio",
  device: "disk",
  path: null,
  pool: null,
  volume: null,
  protocol: null,
  format: "raw",
  readOnly: false,
  shareable: false,
  transient: false,
  encrypted: false,
  dataFile: null,
  startupPolicy: null,
  backing: [],
};

Deno.test("a running domain has its disks, network and labels", () => {
  const domain = parseDomain(RUNNING);
  assertEquals({ ...domain, xml: "" }, {
    name: "vm1",
    uuid: "12345678-1234-4234-8234-123456789abc",
    virtType: "kvm",
    arch: "x86_64",
    machine: "pc-q35-7.2",
    emulator: "/usr/bin/qemu-system-x86_64",
    memoryBytes: 268435456,
    vcpus: 1,
    cpuXml: null,
    cpuMode: null,
    osFiles: [],
    nvram: null,
    nvramTemplate: null,
    disks: [
      {
        ...PLAIN,
        target: "vda",
        type: "file",
        path: "/var/lib/libvirt/images/a.qcow2",
        format: "qcow2",
      },
      { ...PLAIN, target: "vdb", type: "file", path: "/var/lib/libvirt/images/b.raw" },
    ],
    networks: [{ kind: "network", source: "default" }],
    hostdevs: 0,
    staticOwner: null,
    xml: "",
  });
  assertEquals(domain.xml, RUNNING);
});

Deno.test("only a static label of the model DAC is a domain's own user", () => {
  const ownerOf = (label: string) =>
    parseDomain(RUNNING.replace("</domain>", `${label}</domain>`)).staticOwner;
  const label = "<label>+1000:+1000</label></seclabel>";
  assertEquals(ownerOf(`<seclabel type='static' model='dac'>${label}`), "+1000:+1000");
  assertEquals(ownerOf(`<seclabel type='dynamic' model='dac'>${label}`), null);
  assertEquals(ownerOf(`<seclabel type='static' model='selinux'>${label}`), null);
});

Deno.test("a domain has its name, files, RAM, vCPUs and CPU as they stand", () => {
  const domain = parseDomain(MANY_DEVICES);
  assertEquals(domain.name, 'größe 2 – "web" & ‘db’ 🙂');
  assertEquals([domain.memoryBytes, domain.vcpus, domain.cpuMode], [2 ** 31, 4, "host-model"]);
  assertEquals(
    domain.cpuXml,
    "<cpu mode='host-model' check='partial'>\n    <feature policy='disable' name='vmx'/>\n  </cpu>",
  );
  assertEquals(domain.osFiles, [
    { what: "kernel", path: "/boot/vmlinuz" },
    { what: "initrd", path: "/boot/initrd.img" },
    { what: "loader", path: "/usr/share/OVMF/OVMF_CODE_4M.fd" },
  ]);
  assertEquals(domain.nvram, "/var/lib/libvirt/qemu/nvram/größe 2_VARS.fd");
  assertEquals(domain.nvramTemplate, "/usr/share/OVMF/OVMF_VARS_4M.fd");
});

Deno.test("disks of every type have what the type has", () => {
  const images = "/var/lib/libvirt/images";
  const cdrom = { ...PLAIN, type: "file", bus: "sata", device: "cdrom", readOnly: true };
  assertEquals(parseDomain(MANY_DEVICES).disks, [
    {
      ...PLAIN,
      target: "vda",
      type: "volume",
      pool: "zwei Wörter",
      volume: "top.qcow2",
      format: "qcow2",
    },
    { ...PLAIN, target: "vdb", type: "network", protocol: "rbd" },
    { ...PLAIN, target: "vdc", type: "block", path: "/dev/vg0/data", shareable: true },
    {
      ...PLAIN,
      target: "vdd",
      type: "file",
      path: `${images}/secret.qcow2`,
      format: "qcow2",
      transient: true,
      encrypted: true,
    },
    { ...PLAIN, target: "vde", type: "vhostuser" },
    {
      ...PLAIN,
      target: "vdf",
      type: "file",
      path: `${images}/top.qcow2`,
      format: "qcow2",
      backing: [
        { path: `${images}/mid.qcow2`, type: "file", format: "qcow2" },
        { path: "/dev/vg0/base", type: "block", format: "raw" },
      ],
    },
    { ...cdrom, target: "sda" },
    { ...cdrom, target: "sdb", path: `${images}/debian 12.iso`, startupPolicy: "optional" },
    { ...PLAIN, target: "fda", type: "file", bus: "fdc", device: "floppy" },
  ]);
});

Deno.test("network cards have what they are connected to, and devices of the host are counted", () => {
  const { networks, hostdevs } = parseDomain(MANY_DEVICES);
  assertEquals(networks, [
    { kind: "network", source: "default" },
    { kind: "bridge", source: "br0" },
    { kind: "direct", source: "eth0" },
    { kind: "user", source: "" },
    { kind: "vhostuser", source: "/run/vhost1.sock" },
    { kind: "hostdev", source: "" },
  ]);
  assertEquals(hostdevs, 2);
});

/** A domain with this text in `os` and in `devices`. */
function domainWith({ os = "", devices = "" }): string {
  return `<domain type="kvm"><name>vm</name><uuid>12345678-1234-4234-8234-123456789ABC</uuid>` +
    `<memory>1024</memory><os><type machine="pc">hvm</type>${os}</os>` +
    `<devices>${devices}</devices></domain>`;
}

Deno.test("a CD-ROM cannot be written, also where the XML does not say so", () => {
  const disk = "<disk device='cdrom'><target dev='sda'/></disk>";
  const [cdrom] = parseDomain(domainWith({ devices: disk })).disks;
  assertEquals(cdrom, {
    ...PLAIN,
    target: "sda",
    bus: null,
    type: "file",
    device: "cdrom",
    readOnly: true,
  });
});

Deno.test("UEFI's variables may lie behind a source, and a device tree is a file to have", () => {
  const os = "<nvram type='file'><source file='/nvram/vm.fd'/></nvram><dtb>/boot/x.dtb</dtb>";
  const domain = parseDomain(domainWith({ os }));
  assertEquals([domain.nvram, domain.nvramTemplate], ["/nvram/vm.fd", null]);
  assertEquals(domain.osFiles, [{ what: "dtb", path: "/boot/x.dtb" }]);
  assertEquals(parseDomain(domainWith({ os: "<nvram/>" })).nvram, null);
});

Deno.test("the second file of an image's data is found", () => {
  const devices = `<disk type="file"><source file="/a"><dataStore type="block"><format type="raw"/>
    <source dev="/dev/x"/></dataStore></source><target dev="vda"/></disk>`;
  const [disk] = parseDomain(domainWith({ devices })).disks;
  assertEquals([disk?.path, disk?.dataFile], ["/a", "/dev/x"]);
});

Deno.test("a path keeps its spaces and characters of XML", () => {
  const devices =
    `<disk type="file"><source file=" /a &amp; &quot;b&quot;"/><target dev="vda"/></disk>`;
  assertEquals(parseDomain(domainWith({ devices })).disks[0]?.path, ' /a & "b"');
});

Deno.test("a domain with 100 disks has all of them in order", () => {
  const targets = Array.from({ length: 100 }, (_, i) => `vd${i}`);
  const devices = targets.map((target) =>
    `<disk type="file"><source file="/${target}"/><target dev="${target}"/></disk>`
  );
  const { disks } = parseDomain(domainWith({ devices: devices.join("\n") }));
  assertEquals(disks.map(({ target }) => target), targets);
});

Deno.test("line ends of Windows change nothing", () => {
  const domain = parseDomain(MANY_DEVICES.replaceAll("\n", "\r\n"));
  assertEquals({ ...domain, xml: "", cpuXml: "" }, {
    ...parseDomain(MANY_DEVICES),
    xml: "",
    cpuXml: "",
  });
});

Deno.test("a UUID is in lower case", () => {
  assertEquals(parseDomain(domainWith({})).uuid, "12345678-1234-4234-8234-123456789abc");
});

Deno.test("a document without what every domain has is an error that names it", () => {
  const whole = domainWith({ devices: "<disk><target dev='vda'/></disk>" });
  const cases: readonly [string, string][] = [
    ["<name>vm</name>", "has no name"],
    ["<memory>1024</memory>", "has no memory"],
    [' machine="pc"', "has no machine"],
    ["<uuid>12345678-1234-4234-8234-123456789ABC</uuid>", "has no uuid"],
    ["<target dev='vda'/>", "has a disk without a target"],
  ];
  for (const [part, message] of cases) {
    assertThrows(() => parseDomain(whole.replace(part, "")), XmlFormatError, message);
  }
  assertThrows(() => parseDomain(whole.slice(0, -1)), XmlFormatError, "malformed");
});
