import {
  addUser,
  allowUser,
  HOME,
  LabGuest,
  LaunchLab,
  LaunchTrial,
  migrate,
  USER,
} from "../launch/lab/mod.ts";
import { assertExit, assertFails, assertNone, type Scenario } from "../support/scenario.ts";
import { allMove } from "../support/vmferry.ts";

const TO = `ssh://${USER}@host2`;

/** Nobody is root at the destination. */
export const scenario: Scenario = {
  name: "launch_user",
  about: "an ordinary user's guest is launched by his ssh login, and everything of it is his",
  timeoutMs: 180_000,
  slow: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    for (const host of [source, destination]) await addUser(lab, host);
    await allowUser(lab);
    const guest = await LabGuest.start(lab, {
      ...{ user: USER, sockets: HOME },
      disks: [
        { format: "qcow2", path: `${HOME}/vm/vm1.qcow2` },
        { format: "raw", path: `${HOME}/vm/data.raw` },
      ],
      // KVM is root's here.
      argv: (argv) => argv.map((word, i) => argv[i - 1] === "-accel" ? "tcg" : word),
    });
    const { qmp } = guest;
    await assertExit(migrate(lab, ["--dry-run"], "warm-up", { qmp, to: TO }), 0);
    const trial = await LaunchTrial.begin(lab, guest, TO);

    context.note("Ctrl-C while disks are copied");
    await lab.limitRate(2);
    const cancelled = migrate(lab, [], "cancelled", { qmp, to: TO });
    await cancelled.waitEvent("progress", (e) => e.phase === "mirror" && allMove(e));
    cancelled.signal("SIGINT");
    await assertFails(cancelled, 5, /SIGINT/);
    await lab.limitRate(null);
    await trial.assertUndone();

    context.note("the guest crosses");
    await assertExit(migrate(lab, [], "migrate", { qmp, to: TO }), 0);
    const users = await destination.must("ps", "-C", "qemu-system-x86_64", "-o", "user=");
    if (users !== USER) throw new Error(`QEMU runs as ${users}, expected ${USER}`);
    const others = await destination.must("find", HOME, "!", "-user", USER);
    assertNone(others.split("\n").filter((path) => path !== "").map((path) => `not his: ${path}`));
    const state = `${HOME}/.local/state/vmferry`;
    await destination.must("test", "-s", `${state}/vm1/start.sh`);
    await destination.must("test", "-f", `${state}/log/vm1.log`);
    await destination.must("test", "-d", `${HOME}/.cache/vmferry`);
    await guest.assertArrived();
  },
};
