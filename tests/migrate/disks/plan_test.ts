import { assertEquals, assertMatch } from "@std/assert";
import {
  compareGuests,
  divideShared,
  encryptedOf,
  matchDisks,
  selectDisks,
  selectLocals,
  selectOwn,
} from "../../../src/migrate/disks/plan.ts";
import {
  copiedThoughShared,
  losesEncryption,
  notCopied,
  staysBehind,
  unmovable,
} from "../../../src/migrate/disks/stays.ts";
import type { Disk } from "../../../src/qmp/mod.ts";

const disk = (name: string, more: Partial<Disk> = {}): Disk => ({
  ...{ name, nodeName: `node-${name}`, sizeBytes: 1000, format: "raw" },
  ...{ readOnly: false, empty: false, shared: false, ...more },
});
const coming = (name: string, sizeBytes = 1000) => ({ name, sizeBytes, format: "raw" });

Deno.test("without --disk every writable disk with a medium is copied, else the named ones", () => {
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

Deno.test("a named disk that cannot be mirrored is refused with the reason", () => {
  const all = [disk("vda"), disk("cd", { empty: true }), disk("iso", { readOnly: true })];
  assertEquals(selectDisks(all, ["vdz", "cd", "iso"]).problems, [
    "--disk vdz: there is no such disk. Disks: vda, cd, iso",
    "--disk cd: the disk cannot be mirrored, because it has no medium",
    "--disk iso: the disk cannot be mirrored, because it is read-only",
  ]);
});

Deno.test("a disk that other guests may use stays, and is copied only if --disk names it", () => {
  const all = [disk("vda"), disk("lun", { shared: true })];
  const divide = (shared: string[], ...wanted: string[]) => {
    const { disks, problems } = selectDisks(all, wanted);
    assertEquals(problems, []);
    const held = { shared, reuse: [] };
    const { copied, shared: stay, implied } = divideShared(all, disks, held, wanted.length > 0);
    return [copied.map(({ name }) => name), stay.map(({ name }) => name), implied];
  };
  assertEquals(divide([]), [["vda"], ["lun"], ["lun"]]);
  assertEquals(divide(["lun"]), [["vda"], ["lun"], []]);
  assertEquals(divide([], "vda"), [["vda"], [], []]);
  assertEquals(divide([], "vda", "lun"), [["vda", "lun"], [], []]);
  assertEquals(copiedThoughShared(all).map((m) => m.split(" ")[1]), ["lun"]);
});

Deno.test("a disk of the destination that other guests may use is overwritten only if --disk names it", () => {
  const locals = [disk("lun", { shared: true })];
  const { problems } = matchDisks([coming("lun")], locals, []);
  assertEquals(problems, [
    "disk lun of the source cannot be copied to lun: it is shared with other guests (share-rw=on). " +
    "If no other guest uses it, name it there with --disk",
  ]);
  const named = choices("lun");
  assertEquals(selectLocals(locals, named).problems, []);
  assertEquals(matchDisks([coming("lun")], locals, named).pairs.length, 1);
});

Deno.test("a shared disk that has another name at the destination is found by --disk NAME=LOCAL", () => {
  const locals = [disk("vd0"), disk("sdb")];
  const match = (...flags: string[]) =>
    matchDisks([coming("vd0")], locals, choices(...flags), [coming("lun")]).problems;
  assertEquals(match("vd0"), [
    "shared disk lun is missing at the destination. Its disks: vd0, sdb. " +
    "To map it, name all disks with --disk there, this one with --disk lun=LOCAL",
  ]);
  assertEquals(match("vd0", "lun=sdb"), []);
});

Deno.test("a copy to an image that QEMU drops when it ends is refused", () => {
  const { pairs, problems } = matchDisks([coming("vd0")], [disk("vd0", { temporary: true })], []);
  assertEquals([pairs.length, problems.length], [0, 1]);
  assertMatch(problems[0]!, /disk vd0 .* temporary image.* without -snapshot/);
});

Deno.test("a disk that is no longer encrypted at the destination is a warning", () => {
  const lost = (here: boolean, there: boolean) => {
    const sources = [disk("vd0", here ? { encrypted: true } : {}), disk("vd1")];
    const locals = [disk("sda", there ? { encrypted: true } : {}), disk("sdb")];
    const named = choices("vd0=sda", "vd1=sdb");
    const { pairs } = matchDisks([coming("vd0"), coming("vd1")], locals, named);
    return losesEncryption(pairs, encryptedOf(sources, [coming("vd0"), coming("vd1")]));
  };
  assertEquals([lost(false, false), lost(false, true), lost(true, true)], [[], [], []]);
  assertEquals(lost(true, false).map((m) => m.split(" ")[1]), ["vd0"]);
});

const choices = (...flags: string[]) =>
  flags.map((flag) => {
    const [name = "", local = name] = flag.split("=");
    return { name, local };
  });

Deno.test("a destination's --disk must name an existing disk that can be mirrored, each once", () => {
  const all = [disk("vd0"), disk("vd1"), disk("iso", { readOnly: true })];
  const select = (...flags: string[]) => selectLocals(all, choices(...flags));
  assertEquals(select("x=vd0", "vd1").problems, []);
  assertEquals(select("x=vd0", "vd1").disks.map((d) => d.name), ["vd0", "vd1"]);
  assertEquals(select().disks.map((d) => d.name), ["vd0", "vd1"]);
  assertEquals(select("nope", "vd0=nope", "a=iso", "x=vd0", "y=vd0").problems, [
    "--disk nope: there is no disk nope. Disks: vd0, vd1, iso",
    "--disk vd0=nope: there is no disk nope. Disks: vd0, vd1, iso",
    "--disk a=iso: disk iso cannot be mirrored, because it is read-only",
    "--disk y=vd0: disk vd0 is already the copy of the source's disk x",
  ]);
});

Deno.test("a source rejects --disk NAME=LOCAL", () => {
  const all = [disk("vd0"), disk("vd1")];
  assertEquals(selectOwn(all, choices("vd1")).disks.map((d) => d.name), ["vd1"]);
  assertEquals(selectOwn(all, choices("x=vd0", "nope")).problems, [
    "--disk x=vd0: NAME=LOCAL is for a destination, a QEMU with -incoming defer. Give the name alone",
    "--disk nope: there is no such disk. Disks: vd0, vd1",
  ]);
});

Deno.test("each disk without a counterpart on the other side is a problem of its own", () => {
  const match = (source: ReturnType<typeof coming>[], locals: Disk[], choices: string[][] = []) =>
    matchDisks(source, locals, choices.map(([name, local]) => ({ name: name!, local: local! })));
  assertEquals(match([coming("a")], [disk("a")]).pairs.map((p) => p.local.nodeName), ["node-a"]);
  assertEquals(match([coming("a"), coming("b")], [disk("a"), disk("c")]).problems, [
    "disk b of the source has no counterpart: the destination has no disk b. Its disks: a, c",
    "disk c of the destination has no counterpart at the source",
  ]);
  assertEquals(
    match([coming("a"), coming("b")], [disk("a"), disk("x")], [["a", "a"], ["b", "x"]])
      .pairs.map((p) => [p.name, p.local.name]),
    [["a", "a"], ["b", "x"]],
  );
  assertEquals(match([coming("a")], [disk("a")], [["b", "b"]]).problems, [
    "disk a of the source is not among the disks of --disk",
    "--disk b: the source copies no such disk",
  ]);
  assertEquals(match([coming("a"), coming("b")], [disk("x")], [["a", "x"], ["b", "x"]]).problems, [
    "disk x of the destination is the copy of two disks of the source",
  ]);
  assertEquals(match([coming("a")], [disk("a", { readOnly: true })]).problems, [
    "disk a of the source cannot be copied to a: it is read-only",
  ]);
});

Deno.test("a disk of another size is refused with what to do about it", () => {
  const problem = (local: number) =>
    matchDisks([coming("a")], [disk("a", { sizeBytes: local })], []).problems;
  assertEquals(problem(999), [
    "disk a has 1000 bytes at the source and 999 bytes at the destination. Make the destination's larger",
  ]);
  assertEquals(problem(1001), [
    "disk a has 1000 bytes at the source and 1001 bytes at the destination. " +
    "If its medium has a fixed size, set size=1000 on its raw node",
  ]);
});

Deno.test("each difference between two guests is a problem of its own", () => {
  const guest = { uuid: "u", name: "n", machine: "pc-q35-7.2", vcpus: 2, ramBytes: 1024 };
  assertEquals(compareGuests(guest, { ...guest, name: "other", uuid: null }), []);
  const other = { ...guest, uuid: "v", machine: "pc-q35-8.0", vcpus: 4, ramBytes: 2048 };
  assertEquals(compareGuests(guest, other), [
    "the machine type is pc-q35-7.2 at the source and pc-q35-8.0 at the destination",
    "the number of vCPUs is 2 at the source and 4 at the destination",
    "the RAM size is 1024 bytes at the source and 2048 bytes at the destination",
    "the UUID is u at the source and v at the destination",
  ]);
});

Deno.test("a disk whose writes bypass QEMU's block layer is refused", () => {
  assertEquals(unmovable([disk("vda")]), []);
  const [problem] = unmovable([disk("vda"), disk("lun", { passedThrough: true })]);
  assertEquals(problem?.startsWith("disk lun is a SCSI device of the host"), true);
});

Deno.test("a warning names the snapshots and bitmaps of each disk that a mirror leaves behind", () => {
  const all = [disk("vda", { snapshots: ["a", "b"] }), disk("vdb", { bitmaps: ["backup"] })];
  assertEquals(staysBehind([...all, disk("vdc", { snapshots: [], bitmaps: [] })]), [
    "disk vda: internal snapshots a, b stay behind",
    "disk vdb: dirty bitmaps backup stay behind",
  ]);
});

Deno.test("read-only media are a note, shared disks a warning, firmware code neither", () => {
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
