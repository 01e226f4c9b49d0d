import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const HALF_DONE = "block-export-del";

/** The comparison of storage makes exports in both QEMUs for a moment. */
export const scenario: Scenario = {
  name: "compare_kill",
  about:
    "what a vmferry that is killed while it compares storage has left is removed by the next run",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, { bytes: 16 << 20, gated: true });

    context.note("migrate is killed with its exports in the source's QEMU");
    const receive = pair.receive();
    const address = await receive.address();
    const held = pair.gates.source.hold(HALF_DONE);
    const killed = pair.migrate(address);
    await held.arrived;
    killed.signal("SIGKILL");
    await killed.exit();
    held.release();

    context.note("receive is killed with its exports in the destination's QEMU");
    const heldThere = pair.gates.destination.hold(HALF_DONE);
    const alone = pair.migrate(address);
    await heldThere.arrived;
    receive.signal("SIGKILL");
    await receive.exit();
    heldThere.release();
    alone.signal("SIGINT");
    await assertExit(alone, 5, 30_000);

    context.note("and now it crosses");
    const again = pair.receive();
    const migrate = pair.migrate(await again.address());
    await assertExit(migrate, 0);
    await assertExit(again, 0);
    if (migrate.events.entries.some((e) => e.code === "storage")) {
      throw new Error("The storage was not compared");
    }
    await pair.assertArrived();
  },
};
