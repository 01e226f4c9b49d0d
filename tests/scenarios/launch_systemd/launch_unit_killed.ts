import {
  assertEnded,
  assertQemus,
  assertUnit,
  LabGuest,
  LaunchLab,
  migrate,
  QMP,
  TRANSIENT,
  UNIT,
  waitSettled,
} from "../launch/lab/mod.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** Kills in which the guest has stayed, at most. */
const MOST = 5;

/** vmferry is killed at the source as the guest leaves. */
export const scenario: Scenario = {
  name: "launch_unit_killed",
  about: "after a kill in the handover 'recover' keeps the source's unit from starting the guest",
  timeoutMs: 400_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.boot(context);
    const { source, destination } = lab;
    const guest = await LabGuest.start(lab, {
      start: (argv) => source.startService(UNIT, argv, ["Restart=always", "RestartSec=50ms"]),
    });
    const recover = async (flag: string) =>
      await source.vmferry({
        name: `recover ${flag}`,
        args: ["recover", "--json", "--qmp", QMP, flag],
      }).exit(30_000);
    for (let kill = 1;; kill++) {
      context.note(`kill ${kill}`);
      const ferry = migrate(lab, [], `killed ${kill}`);
      await ferry.waitEvent("phase", (e) => e.phase === "handover");
      ferry.signal("SIGKILL");
      await assertExit(ferry, 128 + 9);
      const where = await waitSettled(guest, destination);
      const code = await recover("--yes");
      if (where === "running") {
        if (code !== 4) throw new Error(`recover ended with ${code}, expected 4`);
        break;
      }
      if (code === 4) await recover("--force-run-here");
      await guest.assertRunsOnlyOn(source);
      if (kill === MOST) return `the guest stayed ${kill} times`;
    }
    await guest.assertRunsOnlyOn(destination);
    await assertUnit(destination, TRANSIENT, "active transient");
    await source.must("systemctl", "kill", "--signal=KILL", UNIT);
    await assertEnded(source, UNIT);
    await assertQemus(source, 0);
    await guest.assertArrived();
    return undefined;
  },
};
