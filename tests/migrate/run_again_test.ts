import { assertEquals } from "@std/assert";
import { systemClock } from "../../src/io/mod.ts";
import { ASLEEP_STUCK, runAgain } from "../../src/migrate/run_again.ts";
import { QmpClient } from "../../src/qmp/mod.ts";
import { FakeQemu } from "../support/fake_qemu.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

/** What becomes of a guest that a migration left in `status`, and how often it was continued. */
async function outcome(status: string, asleep: boolean): Promise<[string | undefined, number]> {
  const [ours, theirs] = memoryPipe();
  const fake = new FakeQemu(theirs, {
    "query-status": () => ({ return: { status, running: status === "running" } }),
    "cont": () => {
      status = asleep ? "suspended" : "running";
      return { return: {} };
    },
  });
  await using qmp = await QmpClient.open(ours);
  const stuck = await runAgain(qmp, systemClock, false, asleep);
  return [stuck, fake.received.filter(({ command }) => command === "cont").length];
}

Deno.test("a guest that sleeps is not continued once QEMU has completed its migration", async () => {
  assertEquals(await outcome("postmigrate", true), [ASLEEP_STUCK, 0]);
  assertEquals(await outcome("postmigrate", false), [undefined, 1]);
  assertEquals(await outcome("suspended", true), [undefined, 0]);
});
