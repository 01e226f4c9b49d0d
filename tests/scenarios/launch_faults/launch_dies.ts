import { assertFails, type Scenario } from "../support/scenario.ts";
import { LabGuest, LaunchLab, LaunchTrial, migrate } from "../launch/lab/mod.ts";

/** A QEMU that the destination cannot start. */
export const scenario: Scenario = {
  name: "launch_dies",
  about: "a QEMU that dies at once is reported with its own words, and everything is undone",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { destination, source } = lab;
    await source.must("ip", "tuntap", "add", "tap7", "mode", "tap");
    const guest = await LabGuest.start(lab, {
      extra: [
        ...["-netdev", "tap,id=net0,ifname=tap7,script=no,downscript=no"],
        ...["-device", "virtio-net-pci,netdev=net0,id=nic0"],
      ],
    });
    await destination.must("mount", "--bind", "/dev/null", "/dev/net/tun");
    const trial = await LaunchTrial.begin(lab, guest);
    await assertFails(migrate(lab, [], "dies"), 1, /tap7|tun/);
    await trial.assertUndone();

    context.note("the next try");
    await destination.must("umount", "/dev/net/tun");
    await destination.must("ip", "tuntap", "add", "tap7", "mode", "tap");
    await trial.assertNextWorks();
  },
};
