import { assertEquals } from "@std/assert";
import { parseElement, volumeXml } from "../../src/libvirt/mod.ts";

Deno.test("a volume has the format's features of its source", () => {
  const xml = volumeXml({
    name: "a <b> & 'ü'.qcow2",
    capacity: 268435456,
    format: "qcow2",
    compat: "0.10",
    clusterBytes: 131072,
    extendedL2: true,
    lazyRefcounts: true,
    backing: { path: "/images/base & more.img", format: "raw" },
  });
  const volume = parseElement(xml, "volume", "The volume");
  assertEquals(volume.textAt("name"), "a <b> & 'ü'.qcow2");
  assertEquals(volume.textAt("capacity"), "268435456");
  assertEquals(volume.textAt("allocation"), "0");
  assertEquals(volume.find("target", "format")?.attribute("type"), "qcow2");
  assertEquals(volume.textAt("target", "compat"), "0.10");
  assertEquals(
    volume.find("target", "clusterSize")?.xml,
    '<clusterSize unit="B">131072</clusterSize>',
  );
  assertEquals(volume.find("target", "features")?.elements().map(({ name }) => name), [
    "lazy_refcounts",
    "extended_l2",
  ]);
  assertEquals(volume.textAt("backingStore", "path"), "/images/base & more.img");
  assertEquals(volume.find("backingStore", "format")?.attribute("type"), "raw");
});

Deno.test("a qcow2 of unknown version is of the current one, not of libvirt's default", () => {
  const compat = (format: string, given?: string | null) =>
    parseElement(
      volumeXml({
        name: "v",
        capacity: 1,
        format,
        ...(given === undefined ? {} : { compat: given }),
      }),
      "volume",
      "The volume",
    ).textAt("target", "compat");
  assertEquals(compat("qcow2"), "1.1");
  assertEquals(compat("qcow2", null), "1.1");
  assertEquals(compat("raw"), null);
});

Deno.test("a raw volume has neither features nor an image below", () => {
  const volume = parseElement(
    volumeXml({ name: "v", capacity: 5, format: "raw", backing: null }),
    "volume",
    "The volume",
  );
  assertEquals(volume.find("target")?.elements().map(({ name }) => name), ["format"]);
  assertEquals(volume.find("backingStore"), null);
});
