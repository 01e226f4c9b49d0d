import { assertEquals } from "@std/assert";
import type { DomainImageFacts } from "../../../src/rpc/mod.ts";
import type { Findings } from "../../../src/domain/check/findings.ts";
import { type CopiedDisk, judgeImages } from "../../../src/domain/check/image_rules.ts";
import { judgeRoom } from "../../../src/domain/check/room_rules.ts";

const GIB = 2 ** 30;
const codes = ({ problems }: Findings) => problems.map(({ code }) => code);

const FACTS: DomainImageFacts = {
  ...{ name: "vda", state: "missing", sizeBytes: null, fileBytes: null, format: null, keys: [] },
  ...{ beneath: [], usedBy: null, pool: null, directory: true, freeBytes: 100 * GIB },
  ...{ sampleEqual: null, problem: null },
};
const KEY = { key: "inode 8:1 5", scope: "host" };

function copied(there: Partial<DomainImageFacts> = {}, more: Partial<CopiedDisk> = {}): CopiedDisk {
  return {
    ...{ name: "vda", path: "/images/a.qcow2", type: "file", format: "qcow2" },
    image: {
      ...{ sizeBytes: 20 * GIB, allocatedBytes: 5 * GIB, clusterBytes: 65536, compat: "1.1" },
      ...{ extendedL2: false, lazyRefcounts: false, special: null, backing: null },
    },
    here: { keys: [KEY], beneath: [] },
    there: { ...FACTS, ...there },
    ...more,
  };
}

const exists = { state: "file", sizeBytes: 20 * GIB, fileBytes: GIB, format: "qcow2" } as const;
const onImage = (
  there: Partial<DomainImageFacts>,
  reuse: string[] = [],
  more: Partial<CopiedDisk> = {},
) => codes(judgeImages([copied(there, more)], { reuse, copy: "all" }).findings);

Deno.test("a missing image is created as the source's is", () => {
  const { images, findings } = judgeImages([copied()], { reuse: [], copy: "all" });
  assertEquals(findings.problems, []);
  assertEquals(images, [{
    ...{ name: "vda", path: "/images/a.qcow2", create: true, format: "qcow2" },
    ...{ sizeBytes: 20 * GIB, clusterBytes: 65536, compat: "1.1", extendedL2: false },
    ...{ lazyRefcounts: false, backing: null },
  }]);
});

Deno.test("an image that exists is overwritten with --reuse only, and only if it fits", () => {
  assertEquals(onImage(exists), ["image-exists"]);
  assertEquals(onImage(exists, ["vda"]), []);
  assertEquals(onImage({ ...exists, sizeBytes: 10 * GIB }, ["vda"]), ["image-unfit"]);
  assertEquals(onImage({ ...exists, format: "raw" }, ["vda"]), ["image-unfit"]);
  assertEquals(onImage({ ...exists, state: "other" }, ["vda"]), ["image-unfit"]);
});

Deno.test("an image that is overwritten has the size of the source's disk, in whole sectors", () => {
  const raw = { format: "raw", image: { ...copied().image, format: "raw" } } as const;
  const device = {
    state: "block",
    format: "raw",
    sizeBytes: 20 * GIB,
    fileBytes: 20 * GIB,
  } as const;
  assertEquals(onImage(device, ["vda"], raw), []);
  assertEquals(onImage({ ...device, fileBytes: 21 * GIB }, ["vda"], raw), ["image-unfit"]);
  assertEquals(onImage({ ...device, fileBytes: 19 * GIB }, ["vda"], raw), ["image-unfit"]);
  // What an earlier use has left in a device says nothing about its size.
  assertEquals(onImage({ ...device, format: "qcow2", sizeBytes: GIB }, ["vda"], raw), []);
  assertEquals(onImage({ ...device, state: "file", fileBytes: 20 * GIB - 1 }, ["vda"], raw), []);
  assertEquals(onImage({ ...exists, sizeBytes: 21 * GIB }, ["vda"]), ["image-unfit"]);
});

Deno.test("--reuse overwrites neither the source's own image nor another domain's", () => {
  assertEquals(onImage({ ...exists, keys: [KEY] }, ["vda"]), ["shared-storage"]);
  assertEquals(onImage({ ...exists, usedBy: "vm2" }, ["vda"]), ["image-in-use"]);
});

Deno.test("an image that vmferry cannot create must exist", () => {
  assertEquals(onImage({ directory: false }), ["image-missing"]);
  assertEquals(onImage({}, [], { type: "block", path: "/dev/vg/a" }), ["image-missing"]);
  const image = { ...copied().image, special: "encrypted" } as const;
  assertEquals(onImage({}, [], { image }), ["image-missing"]);
});

Deno.test("less room than the allocated bytes is refused, less than the sizes is a warning", () => {
  const room = (freeBytes: number) => judgeRoom([copied({ freeBytes })]);
  assertEquals(codes(room(4 * GIB)), ["no-room"]);
  assertEquals([codes(room(6 * GIB)), room(6 * GIB).warnings.length], [[], 1]);
  assertEquals(room(30 * GIB).warnings, []);
  const two = [copied({ freeBytes: 8 * GIB }), copied({ freeBytes: 8 * GIB }, { name: "vdb" })];
  assertEquals(codes(judgeRoom(two)), ["no-room"]);
});
