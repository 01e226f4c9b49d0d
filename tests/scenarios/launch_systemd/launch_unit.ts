import {
  assertEnded,
  assertUnit,
  LabGuest,
  LaunchLab,
  migrate,
  TRANSIENT,
  UNIT,
} from "../launch/lab/mod.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** One command between two hosts with systemd. */
export const scenario: Scenario = {
  name: "launch_unit",
  about: "a guest in a service becomes a transient unit, and its old service does not restart it",
  timeoutMs: 300_000,
  async run(context) {
    const lab = await LaunchLab.boot(context);
    const { source, destination } = lab;
    const start = (argv: readonly string[]) =>
      source.startService(UNIT, argv, ["Restart=always", "RestartSec=50ms"]);
    const guest = await LabGuest.start(lab, { start });
    await assertExit(migrate(lab, ["--quit-source"]), 0);
    await assertUnit(destination, TRANSIENT, "active transient");
    await assertEnded(source, UNIT);
    await assertUnit(source, UNIT, "inactive enabled");
    await guest.assertArrived();
    await assertEnded(destination, TRANSIENT);
  },
};
