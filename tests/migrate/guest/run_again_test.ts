import { assertEquals } from "@std/assert";
import { systemClock } from "../../../src/io/mod.ts";
import { ASLEEP_STUCK, runAgain } from "../../../src/migrate/guest/run_again.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

/** The result for a guest that a migration left in `status`, and QEMU's commands. */
async function outcome(status: string, asleep: boolean): Promise<[string | undefined, string]> {
  const [ours, theirs] = memoryPipe();
  const fake = new FakeQemu(theirs, {
    "query-status": () => ({ return: { status, running: status === "running" } }),
    "query-commands": () => ({ return: [{ name: "announce-self" }] }),
    "announce-self": () => ({ return: {} }),
    "cont": () => {
      status = asleep ? "suspended" : "running";
      return { return: {} };
    },
  });
  await using qmp = await QmpClient.open(ours);
  const stuck = await runAgain(qmp, systemClock, true, asleep);
  const changes = fake.received.map(({ command }) => command)
    .filter((command) => command === "cont" || command === "announce-self");
  return [stuck, changes.join(" ")];
}

Deno.test("a guest that sleeps is not resumed once QEMU has completed its migration", async () => {
  assertEquals(await outcome("postmigrate", true), [ASLEEP_STUCK, ""]);
  assertEquals(await outcome("suspended", true), [undefined, ""]);
});

Deno.test("a guest that resumes at the source after its RAM has crossed is announced to the network", async () => {
  assertEquals(await outcome("postmigrate", false), [undefined, "cont announce-self"]);
  assertEquals(await outcome("paused", false), [undefined, "cont"]);
});
