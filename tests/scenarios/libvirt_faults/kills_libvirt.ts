import { assertFails, type Scenario } from "../support/scenario.ts";
import { LibvirtLab, RingDomain, Trial } from "../libvirt/lab/mod.ts";

/** virsh and the daemons of libvirt are killed while disks are copied. */
export const scenario: Scenario = {
  name: "kills_libvirt",
  about:
    "a domain runs on at the source when virsh or a libvirtd is killed, and the next try moves it",
  timeoutMs: 150_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const domain = await RingDomain.start(lab);
    const trial = await Trial.begin(context, lab, domain);

    trial.note("virsh is killed");
    const first = await trial.startCopy();
    const { code } = await lab.source.run(["pkill", "-KILL", "-f", "[v]irsh.* migrate "]);
    if (code !== 0) throw new Error("There is no virsh to be killed");
    await assertFails(first.domain, 1, /^domain-failed: /);
    await first.receive.exit(20_000);
    await trial.assertAsBefore();

    for (const host of [lab.destination, lab.source]) {
      trial.note(`libvirtd is killed at the ${host.name}`);
      const { domain: ferry, receive } = await trial.startCopy();
      await host.stopDaemon("SIGKILL");
      await host.startDaemon();
      await assertFails(ferry, 1, /libvirt/);
      await receive.exit();
      await trial.assertAsBefore();
    }
    await trial.assertNextWorks();
  },
};
