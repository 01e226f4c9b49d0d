import { assertEquals } from "@std/assert";
import {
  compareGuests,
  matchDisks,
  notCopied,
  selectDisks,
  selectLocals,
  selectOwn,
  staysBehind,
  unmovable,
} from "../../../src/migrate/disks/plan.ts";
import type { Disk } from "../../../src/qmp/mod.ts";

const disk = (name: string, more: Partial<Disk> = {}): Disk => ({
  ...{ name, nodeName: `node-${name}`, sizeBytes: 1000, format: "raw" },
  ...{ readOnly: false, empty: false, shared: false, ...more },
});
const coming = (name: string, sizeBytes = 1000) => ({ name, sizeBytes, format: "raw" });

Deno.test("every writable disk with a medium goes, unless some are named", () => {
  const all = [
    disk("vda"),
    disk("cd", { empty: true }),
    disk("iso", { readOnly: true }),
    disk("cluster", { shared: true }),
    disk("vdb"),
  ];
  const names = (wanted: string[]) => selectDisks(all, wanted).disks.map((d) => d.name);
  assertEquals(names([]), ["vda", "vdb"]);
  assertEquals(names(["vdb"]), ["vdb"]);
});

Deno.test("a named disk that can't go is told with the reason", () => {
  const all = [disk("vda"), disk("cd", { empty: true }), disk("iso", { readOnly: true })];
  assertEquals(selectDisks(all, ["vdz", "cd", "iso"]).problems, [
    "--disk vdz: there is no such disk, there is vda, cd, iso",
    "--disk cd: it can't be mirrored, it is empty",
    "--disk iso: it can't be mirrored, it is read-only",
  ]);
});

const choices = (...flags: string[]) =>
  flags.map((flag) => {
    const [name = "", local = name] = flag.split("=");
    return { name, local };
  });

Deno.test("each disk that a destination is to take is there, can be mirrored and stands for one", () => {
  const all = [disk("vd0"), disk("vd1"), disk("iso", { readOnly: true })];
  const select = (...flags: string[]) => selectLocals(all, choices(...flags));
  assertEquals(select("x=vd0", "vd1").problems, []);
  assertEquals(select("x=vd0", "vd1").disks.map((d) => d.name), ["vd0", "vd1"]);
  assertEquals(select().disks.map((d) => d.name), ["vd0", "vd1"]);
  assertEquals(select("nope", "vd0=nope", "a=iso", "x=vd0", "y=vd0").problems, [
    "--disk nope: there is no disk nope, there is vd0, vd1, iso",
    "--disk vd0=nope: there is no disk nope, there is vd0, vd1, iso",
    "--disk a=iso: iso can't be mirrored, it is read-only",
    "--disk y=vd0: vd0 stands for the source's x already",
  ]);
});

Deno.test("a source has no other end's names to map", () => {
  const all = [disk("vd0"), disk("vd1")];
  assertEquals(selectOwn(all, choices("vd1")).disks.map((d) => d.name), ["vd1"]);
  assertEquals(selectOwn(all, choices("x=vd0", "nope")).problems, [
    "--disk x=vd0: NAME=LOCAL is for a destination, a QEMU that waits for a guest (-incoming defer)",
    "--disk nope: there is no such disk, there is vd0, vd1",
  ]);
});

Deno.test("both ends must come to the same set, each mismatch is named", () => {
  const match = (source: ReturnType<typeof coming>[], locals: Disk[], choices: string[][] = []) =>
    matchDisks(source, locals, choices.map(([name, local]) => ({ name: name!, local: local! })));
  assertEquals(match([coming("a")], [disk("a")]).pairs.map((p) => p.local.nodeName), ["node-a"]);
  assertEquals(match([coming("a"), coming("b")], [disk("a"), disk("c")]).problems, [
    "disk b of the source has no counterpart: there is no disk b, there is a, c",
    "disk c has no counterpart at the source",
  ]);
  assertEquals(
    match([coming("a"), coming("b")], [disk("a"), disk("x")], [["a", "a"], ["b", "x"]])
      .pairs.map((p) => [p.name, p.local.name]),
    [["a", "a"], ["b", "x"]],
  );
  assertEquals(match([coming("a")], [disk("a")], [["b", "b"]]).problems, [
    "disk a of the source is not among those named with --disk",
    "--disk b: the source sends no such disk",
  ]);
  assertEquals(match([coming("a"), coming("b")], [disk("x")], [["a", "x"], ["b", "x"]]).problems, [
    "disk x stands for two disks of the source",
  ]);
  assertEquals(match([coming("a")], [disk("a", { readOnly: true })]).problems, [
    "disk a of the source can't go to a: it is read-only",
  ]);
});

Deno.test("sizes must be the same, with a word on what to do", () => {
  const problem = (local: number) =>
    matchDisks([coming("a")], [disk("a", { sizeBytes: local })], []).problems;
  assertEquals(problem(999), [
    "disk a has 1000 bytes at the source and 999 bytes at the destination: make it larger",
  ]);
  assertEquals(problem(1001), [
    "disk a has 1000 bytes at the source and 1001 bytes at the destination: " +
    "where the medium can't be of that size, give its raw node size=1000",
  ]);
});

Deno.test("two machines that are not alike are told apart by what differs", () => {
  const guest = { uuid: "u", name: "n", machine: "pc-q35-7.2", vcpus: 2, ramBytes: 1024 };
  assertEquals(compareGuests(guest, { ...guest, name: "other", uuid: null }), []);
  const other = { ...guest, uuid: "v", machine: "pc-q35-8.0", vcpus: 4, ramBytes: 2048 };
  assertEquals(compareGuests(guest, other), [
    "the machine type is pc-q35-7.2 at the source and pc-q35-8.0 at the destination",
    "the number of vCPUs is 2 at the source and 4 at the destination",
    "the size of the memory is 1024 bytes at the source and 2048 bytes at the destination",
    "the UUID is u at the source and v at the destination",
  ]);
});

Deno.test("a disk whose writes a mirror would not see is no disk to migrate", () => {
  assertEquals(unmovable([disk("vda")]), []);
  const [problem] = unmovable([disk("vda"), disk("lun", { passedThrough: true })]);
  assertEquals(problem?.startsWith("disk lun is a SCSI device of the host"), true);
});

Deno.test("what a mirror leaves behind is told, disk by disk", () => {
  const all = [disk("vda", { snapshots: ["a", "b"] }), disk("vdb", { bitmaps: ["backup"] })];
  assertEquals(staysBehind([...all, disk("vdc", { snapshots: [], bitmaps: [] })]), [
    "disk vda: internal snapshots a, b stay behind",
    "disk vdb: persistent dirty bitmaps backup stay behind",
  ]);
});

Deno.test("firmware code is no disk; read-only media are a note, shared disks a warning", () => {
  const medium = { nodeName: "n", sizeBytes: 1, format: "raw", empty: false, shared: false };
  const told = notCopied([
    { ...medium, name: "vd0", readOnly: false },
    { ...medium, name: "code", readOnly: true, firmware: true },
    { ...medium, name: "cd0", readOnly: true },
    { ...medium, name: "cd1", readOnly: true, empty: true },
    { ...medium, name: "lun", readOnly: false, shared: true },
  ]);
  assertEquals(told.media.map((m) => m.split(" ")[1]), ["cd0"]);
  assertEquals(told.shared.map((m) => m.split(" ")[1]), ["lun"]);
});
