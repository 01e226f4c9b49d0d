import { assertEquals, assertMatch } from "@std/assert";
import { postcopyProblemsHere } from "../../../src/migrate/postcopy/mod.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

for (
  const [major, minor, kvm, status, problem] of [
    [7, 2, true, "none", undefined],
    [7, 2, true, "cancelled", undefined],
    [7, 2, true, "failed", /earlier migration.* has failed/],
    [7, 2, false, "none", /TCG loses writes/],
    [10, 0, true, "failed", undefined],
    [10, 0, false, "none", undefined],
  ] as const
) {
  const accel = kvm ? "KVM" : "TCG";
  const what = problem ? "refuses post-copy" : "takes post-copy";
  Deno.test(`QEMU ${major}.${minor} with ${accel} ${what} after a migration that is "${status}"`, async () => {
    const [ours, theirs] = memoryPipe();
    const version = { qemu: { major, minor, micro: 0 }, package: "" };
    const qemu = new FakeQemu(theirs, {
      "query-kvm": () => ({ return: { enabled: kvm, present: true } }),
      "query-migrate": () => ({ return: { status } }),
      "query-version": () => ({ return: version }),
    }, { QMP: { version, capabilities: [] } });
    const problems = await postcopyProblemsHere(await QmpClient.open(ours));
    if (problem) assertMatch(problems.join("; "), problem);
    else assertEquals(problems, []);
    qemu.close();
  });
}
