import { assertExit, assertFails, type Scenario } from "../support/scenario.ts";
import { LabGuest, launchByTicket, LaunchLab, LaunchTrial, TICKET_DIR } from "../launch/lab/mod.ts";

/** Without ssh: the destination says what a source may start. */
export const scenario: Scenario = {
  name: "launch_ticket_any",
  about: "receive --launch runs a program that a source names only with --launch-any",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { destination, shared } = lab;
    const log = "/run/vm1-up.log";
    const script = `${shared}/up`;
    await Deno.writeTextFile(script, `#!/bin/sh\necho "$0 $1" >>${log}\n`, { mode: 0o755 });
    const guest = await LabGuest.start(lab, {
      disks: [{ format: "raw", path: `${TICKET_DIR}/vm1.raw` }],
      extra: [
        ...["-netdev", `tap,id=net0,ifname=tap7,script=${script},downscript=no`],
        ...["-device", "virtio-net-pci,netdev=net0,id=nic0"],
      ],
    });
    const trial = await LaunchTrial.begin(lab, guest);

    context.note("a script");
    const refused = await launchByTicket(lab);
    await assertFails(refused.ferry, 3, /QEMU runs .*--launch-any/);
    refused.receive.signal("SIGTERM");
    await refused.receive.exit(20_000);
    await trial.assertUndone();

    context.note("--launch-any");
    const any = await launchByTicket(lab, ["--launch-any"]);
    await assertExit(any.ferry, 0);
    await assertExit(any.receive, 0);
    const called = await destination.must("cat", log);
    if (called !== `${script} tap7`) throw new Error(`The script was called as "${called}"`);
    await guest.assertArrived();
  },
};
