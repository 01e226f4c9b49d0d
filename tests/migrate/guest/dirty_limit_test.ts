import { assert, assertEquals } from "@std/assert";
import { dirtyLimitProblems } from "../../../src/migrate/guest/dirty_limit.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

/** Asks a QEMU whose capability `dirty-limit` is off, and which refuses it with `reason`. */
async function ask(has: boolean, reason?: string) {
  const [ours, theirs] = memoryPipe();
  const qemu = new FakeQemu(theirs, {
    "query-migrate-capabilities": () => ({
      return: has ? [{ capability: "dirty-limit", state: false }] : [],
    }),
    "migrate-set-capabilities": () =>
      reason ? { error: { class: "GenericError", desc: reason } } : { return: {} },
  });
  const problems = await dirtyLimitProblems(await QmpClient.open(ours));
  const set = qemu.received.filter((c) => c.command === "migrate-set-capabilities")
    .map(({ args }) => args["capabilities"]);
  qemu.close();
  return { problems, set };
}

Deno.test("a QEMU without a dirty limit is refused with the version that has it", async () => {
  const { problems: [problem], set } = await ask(false);
  assert(problem?.includes("8.1"), problem);
  assertEquals(set, []);
});

Deno.test("a QEMU without KVM's dirty ring is refused with what it lacks and QEMU's reason", async () => {
  const { problems: [problem] } = await ask(true, "dirty-limit requires KVM");
  assert(problem?.includes("dirty-ring-size") && problem.includes("requires KVM"), problem);
});

Deno.test("a QEMU with a dirty limit is left without it until RAM crosses", async () => {
  assertEquals(await ask(true), {
    problems: [],
    set: [true, false].map((state) => [{ capability: "dirty-limit", state }]),
  });
});
