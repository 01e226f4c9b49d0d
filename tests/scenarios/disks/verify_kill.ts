import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { FEW_BLOCKS, heldAtComparison, verifiedBy, VERIFY } from "../pair/flips.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

export const scenario: Scenario = {
  name: "verify_kill",
  about: "--resume finds the NBD server and the exports of a killed --verify, and compares anew",
  timeoutMs: 240_000,
  async run(context) {
    const disks = [{ from: "raw", to: "raw" }, { from: "qcow2", to: "raw" }] as const;
    const pair = await Pair.start(context, {
      bytes: 32 * MiB,
      guest: FEW_BLOCKS,
      disks,
      gated: true,
    });

    context.note("the source's tool is killed before it has an export in QEMU");
    const receive = pair.receive();
    const address = await receive.address();
    const { migrate: first, held: started } = await heldAtComparison(
      pair.gates.source,
      () => pair.migrate(address, ["--verify"]),
    );
    first.signal("SIGKILL");
    await first.exit();
    started.release();

    context.note("the source's tool is killed with exports in QEMU");
    const second = pair.migrate(address, ["--resume", "--verify"]);
    const again = pair.gates.source.hold("block-export-add");
    await again.arrived;
    const other = pair.gates.source.hold("block-export-add");
    again.release();
    await other.arrived;
    second.signal("SIGKILL");
    await second.exit();
    other.release();

    context.note("the next process compares all of it");
    const migrate = pair.migrate(address, ["--resume", ...VERIFY]);
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    const unproved = verifiedBy(migrate).map((disk) => disk.unproved).join();
    if (unproved !== "0,0") throw new Error(`Got ${unproved} unproved blocks, expected 0,0`);
    await pair.assertArrived();
  },
};
