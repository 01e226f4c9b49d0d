import { LaunchLab, migrate, QMP, startGuest, waitSettled } from "../launch/lab/mod.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** The source is killed just as the guest changes hosts. */
export const scenario: Scenario = {
  name: "launch_kill_handover",
  about: "after a kill in the handover of a launch the guest runs once, with every write",
  timeoutMs: 180_000,
  long: true,
  async run(context) {
    const figures: string[] = [];
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    for (const phase of ["switchover", "handover"]) {
      context.note(`the source is killed: ${phase}`);
      for (const host of [source, destination]) await host.must("rm", "-rf", "/var/lib/vm");
      const guest = await startGuest(lab);
      const ferry = migrate(lab, [], phase);
      await ferry.waitEvent("phase", (e) => e.phase === phase);
      ferry.signal("SIGKILL");
      await assertExit(ferry, 128 + 9);
      const where = await waitSettled(guest, destination);
      figures.push(`${phase}: ${where}`);
      context.note(`the destination's QEMU is ${where}`);
      if (where === "running") {
        await guest.assertArrived();
        continue;
      }
      const recover = source.vmferry({
        name: `recover ${phase}`,
        args: ["recover", "--json", "--qmp", QMP, "--yes"],
      });
      await recover.exit(20_000);
      await guest.assertRunsOnlyOn(source);
      await assertExit(migrate(lab, [], `next ${phase}`), 0);
      await guest.assertArrived();
    }
    return figures.join(", ");
  },
};
