import { assertEquals, assertStringIncludes } from "@std/assert";
import { needsSinglePass, singlePassWarning } from "../../../src/migrate/guest/single_pass.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

for (
  const [major, minor, kvm, once] of [
    [7, 2, false, true],
    [8, 2, false, true],
    [7, 2, true, false],
    [9, 0, false, false],
    [10, 0, false, false],
  ] as const
) {
  const name = `QEMU ${major}.${minor} with ${kvm ? "KVM" : "TCG"}`;
  Deno.test(`${name} sends RAM ${once ? "once" : "as often as it takes"}`, async () => {
    const [ours, theirs] = memoryPipe();
    const version = { qemu: { major, minor, micro: 0 }, package: "" };
    const greeting = { QMP: { version, capabilities: [] } };
    const qemu = new FakeQemu(theirs, {
      "query-kvm": () => ({ return: { enabled: kvm, present: true } }),
      "query-version": () => ({ return: version }),
    }, greeting);
    const qmp = await QmpClient.open(ours);
    assertEquals(await needsSinglePass(qmp), once);
    assertStringIncludes(singlePassWarning(qmp), `QEMU ${major}.${minor}.0 with TCG`);
    qemu.close();
  });
}
