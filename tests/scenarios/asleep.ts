import { Pair } from "./support/pair.ts";
import { assertExit, assertRefused, type Scenario } from "./support/scenario.ts";
import { allMove } from "./support/vmferry.ts";

/** A guest in S3. */
export const scenario: Scenario = {
  name: "asleep",
  about:
    "a guest that goes to sleep on its way arrives asleep and wakes there, or is left where it is",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, { bytes: 24 << 20 });
    const receive = pair.receive();
    const address = await receive.address();
    const migrate = pair.migrate(address, ["--bandwidth", "15M"]);
    await migrate.waitEvent("progress", allMove);
    // SLP_EN with SLP_TYP 1 in PM1a_CNT of q35, which is how a guest goes to sleep.
    await pair.source.execute("human-monitor-command", { "command-line": "o/h 0x604 0x2400" });
    if (pair.source.atLeast(9, 0) && pair.destination.atLeast(9, 0)) {
      await assertExit(migrate, 0, 60_000);
      await assertExit(receive, 0);
      await stands(pair.destination.status(), "suspended");
      await pair.destination.execute("system_wakeup");
      await pair.destination.events.waitFor("the guest to wake", (e) => e.event === "WAKEUP");
      return "crossed asleep, woke at the destination";
    }
    await assertExit(migrate, 1, 30_000);
    const { error } = await migrate.waitEvent("result");
    if ((error as { code: string }).code !== "guest-asleep") {
      throw new Error(`It failed with ${JSON.stringify(error)}`);
    }
    await assertExit(receive, 1);
    await pair.assertStillAtSource({ status: "suspended" });
    if (pair.source.atLeast(9, 0)) return "stayed, the destination's QEMU does not take it";
    await assertRefused(pair.migrate(address), /The guest sleeps/);
    await pair.source.execute("system_wakeup");
    await pair.source.events.waitFor("the guest to wake", (e) => e.event === "WAKEUP");
    return "stayed asleep, woke at the source";
  },
};

async function stands(status: Promise<string>, expected: string): Promise<void> {
  if (await status !== expected) throw new Error(`It is ${await status}, expected ${expected}`);
}
