import { MiB } from "../pair/pair_options.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** A vmferry that is killed after it has paused the guest for the rest of the copy. */
export const scenario: Scenario = {
  name: "suspended_kill",
  about: "a guest that was paused for the rest of the copy runs again after its vmferry was killed",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, {
      ...{ bytes: 8 * MiB, disks: [{ from: "raw", to: "raw" }], gated: true },
      guest: { waitUs: 0, ramPages: 0, ramStep: 0 },
    });
    // However fast the mirror becomes ready, RAM does not begin to cross.
    const held = pair.gates.source.hold("query-migrate-capabilities");
    const receive = pair.receive(["--grace", "3"]);
    const migrate = pair.migrate(await receive.address(), [
      ...["--bandwidth", "2M", "--grace", "3"],
      ...["--timeout", "1", "--timeout-action", "suspend"],
    ]);
    await pair.source.events.waitFor(
      "the guest to be suspended",
      (e) => e.event === "STOP",
      60_000,
    );
    migrate.signal("SIGKILL");
    await migrate.exit();
    held.release();
    await assertExit(receive, 1, 30_000);
    const before = await pair.source.status();
    if (before !== "paused") throw new Error(`The guest is ${before} after the kill`);
    await assertExit(pair.recover("source", ["--yes"]), 0, 30_000);
    await pair.assertStillAtSource();
  },
};
