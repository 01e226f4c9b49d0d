import { assertEquals } from "@std/assert";
import { usedImages } from "../../../src/domain/destination/used_images.ts";
import { FakeHost } from "./fake_host.ts";

Deno.test("the backing files of a domain that is shut off are in use", async () => {
  const uuid = "22222222-2222-4222-8222-222222222222";
  const fake = new FakeHost();
  fake.domains.set(uuid, { state: "5 1", disks: ["/pool/top.qcow2"], format: "qcow2" });
  fake.make("/pool/top.qcow2", "qcow2");
  fake.backing.set("/pool/top.qcow2", "/pool/base.qcow2");
  const used = await usedImages(fake.process().host, "11111111-1111-4111-8111-111111111111");
  assertEquals(
    ["/pool/top.qcow2", "/pool/base.qcow2", "/pool/other.qcow2"].map((path) =>
      used.userOf(path, [])
    ),
    ["domain other", "domain other", undefined],
  );
});
