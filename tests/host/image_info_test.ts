import { assertEquals, assertThrows } from "@std/assert";
import { imageInfoArguments, ImageInfoError, parseImageInfo } from "../../src/host/mod.ts";

const QCOW2 = `{
    "backing-filename-format": "qcow2",
    "virtual-size": 1073741824,
    "filename": "/images/b.qcow2",
    "cluster-size": 131072,
    "format": "qcow2",
    "actual-size": 200704,
    "format-specific": {
        "type": "qcow2",
        "data": {
            "compat": "1.1",
            "compression-type": "zlib",
            "lazy-refcounts": true,
            "refcount-bits": 16,
            "corrupt": false,
            "extended-l2": true
        }
    },
    "full-backing-filename": "/images/a.qcow2",
    "backing-filename": "a.qcow2",
    "dirty-flag": false
}
`;

Deno.test("a qcow2 has its features and the full path of the image below", () => {
  assertEquals(parseImageInfo(QCOW2), {
    format: "qcow2",
    virtualSize: 1073741824,
    actualSize: 200704,
    clusterSize: 131072,
    compat: "1.1",
    extendedL2: true,
    lazyRefcounts: true,
    encrypted: false,
    dataFile: null,
    backing: { path: "/images/a.qcow2", format: "qcow2" },
  });
});

Deno.test("a raw image has nothing but its sizes", () => {
  const raw = `{"virtual-size": 10485760, "filename": "c.raw", "format": "raw", "actual-size": 4096,
    "format-specific": {"type": "file", "data": {}}, "children": [], "dirty-flag": false}`;
  assertEquals(parseImageInfo(raw), {
    format: "raw",
    virtualSize: 10485760,
    actualSize: 4096,
    clusterSize: null,
    compat: null,
    extendedL2: false,
    lazyRefcounts: false,
    encrypted: false,
    dataFile: null,
    backing: null,
  });
});

Deno.test("an encrypted image and a second file for its data are seen", () => {
  const info = parseImageInfo(`{"virtual-size": 1, "format": "qcow2", "encrypted": true,
    "format-specific": {"type": "qcow2", "data": {"data-file": "d.raw"}}}`);
  assertEquals([info.encrypted, info.dataFile, info.actualSize], [true, "d.raw", null]);
});

Deno.test("an output without a format or size is an error", () => {
  for (
    const text of [
      "",
      "[]",
      "null",
      "{}",
      '{"format": "raw"}',
      '{"format": 1, "virtual-size": 1}',
      '{"format": "raw", "virtual-size": -1}',
    ]
  ) {
    assertThrows(() => parseImageInfo(text), ImageInfoError);
  }
});

Deno.test("a path that begins with a dash is no option of qemu-img", () => {
  assertEquals(imageInfoArguments("-x", "raw").slice(-4), ["-f", "raw", "--", "-x"]);
  assertEquals(imageInfoArguments("/x", null), [
    "qemu-img",
    "info",
    "--output=json",
    "-U",
    "--",
    "/x",
  ]);
});
