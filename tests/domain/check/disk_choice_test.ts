import { assertEquals, assertStringIncludes } from "@std/assert";
import { chooseDisks } from "../../../src/domain/check/disk_choice.ts";
import type { Findings } from "../../../src/domain/check/findings.ts";
import { judgeResources } from "../../../src/domain/check/resource_rules.ts";
import type { DomainDisk } from "../../../src/libvirt/mod.ts";

const codes = ({ problems }: Findings) => problems.map(({ code }) => code);
const DISK: DomainDisk = {
  ...{ target: "vda", bus: "virtio", device: "disk", type: "file", path: "/images/a.qcow2" },
  ...{ pool: null, volume: null, protocol: null, format: "qcow2", readOnly: false },
  ...{ shareable: false, transient: false, encrypted: false, dataFile: null },
  ...{ startupPolicy: null, backing: [] },
};
const WISHES = { reuse: [], shared: [], migrateDisks: null };

Deno.test("disks are divided as libvirt divides them", () => {
  const disks = [
    DISK,
    { ...DISK, target: "vdb", shareable: true },
    { ...DISK, target: "sda", device: "cdrom", readOnly: true },
    { ...DISK, target: "sdb", device: "cdrom", readOnly: true, path: null },
  ];
  const targets = (list: readonly DomainDisk[]) => list.map(({ target }) => target);
  const { copied, shared, readOnly } = chooseDisks(disks, WISHES);
  assertEquals([copied, shared, readOnly].map(targets), [["vda"], ["vdb"], ["sda"]]);
  const without = chooseDisks(disks, { ...WISHES, shared: ["vda"] });
  assertEquals([without.copied, without.shared].map(targets), [[], ["vda", "vdb"]]);
});

Deno.test("a target that the domain lacks is refused with the known ones", () => {
  const { findings } = chooseDisks([DISK], { ...WISHES, reuse: ["vdz"] });
  assertEquals(codes(findings), ["option-refused"]);
  assertStringIncludes(findings.problems[0]!.message, "Its disks: vda");
});

Deno.test("network storage is refused without --shared", () => {
  const rbd = { ...DISK, type: "network", protocol: "rbd", path: null };
  assertEquals(codes(chooseDisks([rbd], WISHES).findings), ["shared-storage"]);
  assertEquals(codes(chooseDisks([rbd], { ...WISHES, shared: ["vda"] }).findings), []);
});

Deno.test("networks must be active at the destination, bridges must exist", () => {
  const judge = (kind: string, source: string) =>
    codes(judgeResources({
      ...{ interfaces: [{ kind, source }], hostInterfaces: ["br0"], volumes: [], pools: [] },
      networks: [{ name: "default", active: true }, { name: "off", active: false }],
    }));
  assertEquals([judge("network", "default"), judge("bridge", "br0")], [[], []]);
  assertEquals(judge("network", "off"), ["network-missing"]);
  assertEquals(judge("network", "none"), ["network-missing"]);
  assertEquals(judge("bridge", "br1"), ["network-missing"]);
});
