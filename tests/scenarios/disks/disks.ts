import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** Every mix of formats and buses. */
export const scenario: Scenario = {
  name: "disks",
  about: "six disks cross, raw and qcow2 on either side, virtio, scsi and ide",
  timeoutMs: 180_000,
  async run(context) {
    const pair = await Pair.start(context, {
      bytes: 24 << 20,
      disks: [
        { from: "qcow2", to: "raw" },
        { from: "qcow2", to: "qcow2" },
        { from: "raw", to: "qcow2", bus: "scsi" },
        { from: "raw", to: "raw", bus: "scsi" },
        { from: "qcow2", to: "qcow2", bus: "ide" },
        { from: "raw", to: "raw" },
      ],
    });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address());
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    await pair.assertArrived();
  },
};
