import { Pair } from "../pair/pair.ts";
import { assertExit, assertRefused, type Scenario } from "../support/scenario.ts";

/** QEMU 7.2 does not undo all of a migration of a paused guest. */
export const scenario: Scenario = {
  name: "paused_cancel",
  about:
    "a paused guest whose migration is cancelled at the last moment stays paused and can be migrated again",
  timeoutMs: 180_000,
  async run(context) {
    const pair = await Pair.start(context, { bytes: 16 << 20, paused: true, gated: true });
    const held = pair.gates.source.hold("block-job-cancel");
    const first = pair.receive();
    const cancelled = pair.migrate(await first.address());
    await held.arrived;
    cancelled.signal("SIGTERM");
    held.release();
    await assertExit(cancelled, 5);
    await assertExit(first, 5);
    const status = await pair.source.status();
    if (!["paused", "postmigrate"].includes(status)) throw new Error(`The source is ${status}`);
    const { error } = await cancelled.waitEvent("result");
    const said = (error as { message: string }).message;

    await pair.renewDestination();
    let receive = pair.receive();
    if (status === "postmigrate") {
      if (!/Run the guest once/.test(said)) throw new Error(`It said ${said}`);
      await assertRefused(pair.migrate(await receive.address()), /Run the guest once/);
      receive.signal("SIGTERM");
      await assertExit(receive, 5);
      for (const command of ["cont", "stop"]) await pair.source.execute(command);
      receive = pair.receive();
    }
    await assertExit(pair.migrate(await receive.address()), 0);
    await assertExit(receive, 0);
    await pair.assertArrived();
    return status;
  },
};
