import { assertExit, type Scenario } from "../support/scenario.ts";
import { assertAsBefore, hostState, LabGuest, LaunchLab, migrate } from "./lab/mod.ts";

/** One command, and a destination that has QEMU and sshd. */
export const scenario: Scenario = {
  name: "launch_clean",
  about: "one command moves a guest to a host without vmferry, images or directories",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const guest = await LabGuest.start(lab);
    const [here, there] = [
      await hostState(lab.source, guest.images),
      await hostState(lab.destination),
    ];

    context.note("a dry run changes nothing");
    const dry = migrate(lab, ["--dry-run"], "dry-run");
    await assertExit(dry, 0);
    await assertAsBefore(lab.source, here, guest.images);
    await assertAsBefore(lab.destination, there);

    context.note("the guest crosses");
    await lab.assertConnections(1);
    const ferry = migrate(lab);
    await assertExit(ferry, 0);
    await lab.assertConnections(2);
    await guest.assertRunsOnlyOn(lab.destination);
    const made = /\/var\/lib\/vm\b|\/var\/lib\/vmferry|\/var\/log\/vmferry|qemu-system|\/run\/vm1/;
    await assertAsBefore(lab.destination, there, guest.images, made);
    await guest.assertArrived();
  },
};
