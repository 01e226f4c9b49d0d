import {
  addUser,
  LabGuest,
  LaunchLab,
  LaunchTrial,
  migrate,
  removeUser,
  USER,
} from "../launch/lab/mod.ts";
import { assertExit, assertFails, type Scenario } from "../support/scenario.ts";
import { allMove } from "../support/vmferry.ts";

/** QEMU is not root, vmferry is. */
export const scenario: Scenario = {
  name: "launch_owner",
  about: "a QEMU that runs as another user than vmferry does so at the destination, with its files",
  timeoutMs: 480_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    await addUser(lab, source);
    for (const how of ["started by its user", "-runas"]) {
      context.note(`${how}: the destination does not have the user`);
      for (const host of [source, destination]) await host.must("rm", "-rf", "/var/lib/vm");
      // The user makes its QMP socket there.
      for (const host of [source, destination]) await host.must("chmod", "1777", "/run");
      const guest = await LabGuest.start(lab, {
        user: USER,
        guest: { ramPages: 4096, ramStep: 8 },
        argv: (argv) => [
          // KVM is root's here.
          ...argv.map((word, i) => argv[i - 1] === "-accel" ? "tcg" : word),
          ...(how === "-runas" ? ["-runas", USER] : []),
        ],
      });
      const trial = await LaunchTrial.begin(lab, guest);
      await assertFails(migrate(lab, [], "no user"), 3, new RegExp(`no user ${USER}`));
      await trial.assertUndone();

      context.note(`${how}: Ctrl-C`);
      await addUser(lab, destination);
      const cancelling = await LaunchTrial.begin(lab, guest);
      await lab.limitRate(2);
      const cancelled = migrate(lab, [], "cancelled");
      await cancelled.waitEvent("progress", (e) => e.phase === "mirror" && allMove(e));
      cancelled.signal("SIGINT");
      await assertFails(cancelled, 5, /SIGINT/);
      await lab.limitRate(null);
      await cancelling.assertUndone();

      context.note(`${how}: the guest crosses`);
      await assertExit(migrate(lab, [], how), 0);
      const users = await destination.must("ps", "-C", "qemu-system-x86_64", "-o", "user=,group=");
      const expected = `${USER}:${USER}`;
      const found = users.trim().split(/\s+/).join(":");
      if (found !== expected) {
        throw new Error(`${how}: QEMU runs as ${found}, expected ${expected}`);
      }
      for (const image of guest.images) {
        const owner = await destination.must("stat", "-c", "%U:%G", image);
        if (owner !== expected) throw new Error(`${how}: ${image} belongs to ${owner}`);
      }
      await guest.assertArrived();
      await removeUser(destination);
      await destination.must("rm", "-rf", "/var/home");
    }
  },
};
