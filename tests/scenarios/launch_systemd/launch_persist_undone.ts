import {
  assertUnit,
  BOOT,
  LaunchLab,
  LaunchTrial,
  migrate,
  startGuest,
  STEPS,
  TRANSIENT,
  UNIT,
  warmUp,
} from "../launch/lab/mod.ts";
import { assertFails, type Scenario } from "../support/scenario.ts";

/** A launch with `--persist` that does not succeed. */
export const scenario: Scenario = {
  name: "launch_persist_undone",
  about: "after a cancel or a failure with --persist no unit of either host has changed",
  timeoutMs: 500_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.boot(context);
    const { source, destination } = lab;
    const guest = await startGuest(lab, false, {
      start: (argv) => source.startService(UNIT, argv, ["Restart=always"]),
    });
    await warmUp(lab);
    const { copy } = STEPS;
    await copy.prepare(lab);
    const trial = await LaunchTrial.begin(lab, guest);
    for (const why of ["cancelled", "failed"]) {
      context.note(why);
      const ferry = migrate(lab, ["--persist"], why);
      await copy.reached(lab, ferry);
      await assertUnit(destination, TRANSIENT, "active transient");
      if (why === "failed") {
        await destination.must("systemctl", "kill", "--signal=KILL", TRANSIENT);
        await assertFails(ferry, 1, /./);
      } else {
        ferry.signal("SIGINT");
        await assertFails(ferry, 5, /SIGINT/);
      }
      await assertUnit(source, UNIT, "active enabled");
      await assertUnit(destination, BOOT, "inactive");
      await trial.assertUndone();
    }
    await copy.restore(lab);
    await trial.assertNextWorks("--persist", "--quit-source");
  },
};
