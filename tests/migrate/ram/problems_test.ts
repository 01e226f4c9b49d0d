import { assertEquals, assertMatch } from "@std/assert";
import { ramProblems } from "../../../src/migrate/ram/problems.ts";
import type { RamChoices } from "../../../src/migrate/ram_choices.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

const REFUSED = { error: { class: "GenericError", desc: "not on this host" } } as const;

/** The problems of a QEMU that knows these capabilities and lets none be switched on. */
async function problemsOf(side: "source" | "destination", choices: RamChoices | undefined) {
  const [ours, theirs] = memoryPipe();
  const capabilities = ["dirty-limit", "postcopy-ram"];
  const qemu = new FakeQemu(theirs, {
    "query-migrate-capabilities": () => ({
      return: capabilities.map((capability) => ({ capability, state: false })),
    }),
    "migrate-set-capabilities": () => REFUSED,
    "query-migrate": () => ({ return: {} }),
    "query-kvm": () => ({ return: { enabled: true, present: true } }),
  });
  const problems = await ramProblems(await QmpClient.open(ours), side, choices);
  const set = qemu.received.some(({ command }) => command === "migrate-set-capabilities");
  qemu.close();
  return { problems, set };
}

Deno.test("a QEMU is not asked for anything when RAM crosses as usual", async () => {
  assertEquals(await problemsOf("source", undefined), { problems: [], set: false });
});

Deno.test("a dirty limit is asked of the source's QEMU and never of the destination's", async () => {
  const { problems: [problem] } = await problemsOf("source", { dirtyLimitMib: 50 });
  assertMatch(problem!, /dirty ring.*not on this host/);
  const there = await problemsOf("destination", { dirtyLimitMib: 50 });
  assertEquals(there, { problems: [], set: false });
});

Deno.test("userfaultfd is asked of the destination's QEMU and never of the source's", async () => {
  const postcopy = { when: "asked" } as const;
  const { problems: [problem] } = await problemsOf("destination", { postcopy });
  assertMatch(problem!, /not on this host.*userfaultfd/);
  assertEquals(await problemsOf("source", { postcopy }), { problems: [], set: false });
});
