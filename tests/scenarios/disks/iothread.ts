import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { allMove } from "../support/vmferry.ts";

const DISKS = [{ from: "raw", to: "qcow2", bus: "scsi-iothread" }, {
  from: "raw",
  to: "raw",
}] as const;

/** QEMU 7.2.22 of Debian ends when a client disconnects from an export of a disk with an iothread. */
export const scenario: Scenario = {
  name: "iothread",
  about: "disks with an iothread cross, and a migration that is given up ends no QEMU",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, { bytes: 24 << 20, disks: DISKS });
    for (const givesUp of ["source", "destination"] as const) {
      const receive = pair.receive();
      const migrate = pair.migrate(await receive.address(), ["--bandwidth", "2M"]);
      await migrate.waitEvent("progress", allMove);
      (givesUp === "source" ? migrate : receive).signal("SIGTERM");
      await assertExit(receive, 5);
      await assertExit(migrate, givesUp === "source" ? 5 : 1);
      await pair.assertStillAtSource();
    }

    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address());
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    await pair.assertArrived();
  },
};
