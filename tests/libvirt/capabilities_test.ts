import { assertEquals, assertThrows } from "@std/assert";
import { ownerOf, parseCapabilities, XmlFormatError } from "../../src/libvirt/mod.ts";

const SYSTEM = `<capabilities>

  <host>
    <uuid>11111111-1111-4111-8111-111111111111</uuid>
    <cpu>
      <arch>x86_64</arch>
      <model>kvm64</model>
    </cpu>
    <secmodel>
      <model>apparmor</model>
      <doi>0</doi>
    </secmodel>
    <secmodel>
      <model>dac</model>
      <doi>0</doi>
      <baselabel type='kvm'>+64055:+108</baselabel>
      <baselabel type='qemu'>+64055:+64055</baselabel>
    </secmodel>
  </host>

  <guest>
    <os_type>hvm</os_type>
  </guest>

</capabilities>
`;

Deno.test("a host has its UUID, architecture and security models", () => {
  const { hostUuid, arch, securityModels } = parseCapabilities(SYSTEM);
  assertEquals(hostUuid, "11111111-1111-4111-8111-111111111111");
  assertEquals([arch, securityModels], ["x86_64", ["apparmor", "dac"]]);
});

Deno.test("QEMU's owner depends on the domain's type", () => {
  const capabilities = parseCapabilities(SYSTEM);
  assertEquals(capabilities.qemuOwner("kvm"), { uid: 64055, gid: 108 });
  assertEquals(capabilities.qemuOwner("qemu"), { uid: 64055, gid: 64055 });
  assertEquals(capabilities.qemuOwner("xen"), null);
});

Deno.test("a session has no owner of its own for QEMU", () => {
  const session =
    "<capabilities><host><secmodel><model>none</model><doi>0</doi></secmodel></host></capabilities>";
  const capabilities = parseCapabilities(session);
  assertEquals([capabilities.hostUuid, capabilities.securityModels], [null, []]);
  assertEquals(capabilities.qemuOwner("kvm"), null);
});

Deno.test("a label with names has no numbers", () => {
  assertEquals(ownerOf("+0:+0"), { uid: 0, gid: 0 });
  assertEquals(ownerOf("107:107"), { uid: 107, gid: 107 });
  assertEquals(ownerOf("qemu:qemu"), null);
  assertEquals(ownerOf(""), null);
});

Deno.test("another document is refused", () => {
  assertThrows(
    () => parseCapabilities("<domainCapabilities/>"),
    XmlFormatError,
    "domainCapabilities",
  );
});
