import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const HALF_DONE = "block-export-del";

/** The comparison of the storage adds temporary exports to both QEMUs. */
export const scenario: Scenario = {
  name: "compare_kill",
  about: "the next run removes the exports that a killed comparison of the storage left in QEMU",
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

    context.note("the next migration succeeds");
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
