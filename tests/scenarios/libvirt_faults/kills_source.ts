import { assertExit, assertFails, type Scenario } from "../support/scenario.ts";
import { assertKilled, LibvirtLab, RingDomain, Trial } from "../libvirt/lab/mod.ts";

/** The source's vmferry is killed while disks, then while RAM is copied. */
export const scenario: Scenario = {
  name: "kills_source",
  about: "a domain runs on at the source when vmferry is killed there, and the next try moves it",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const domain = await RingDomain.start(lab, { guest: { ramPages: 8192, ramStep: 4 } });
    const trial = await Trial.begin(context, lab, domain);
    for (const start of ["startCopy", "startRam"] as const) {
      trial.note(`SIGKILL after ${start}`);
      const { domain: ferry, receive } = await trial[start]();
      ferry.signal("SIGKILL");
      await assertKilled(ferry);
      await trial.assertRunsAtSource();
      await assertFails(receive, 1, /connection-lost|source-gone|session-lost/);
    }

    trial.note("a try that is cancelled removes what the killed ones have left");
    const { domain: ferry, receive } = await trial.startCopy();
    ferry.signal("SIGINT");
    await assertExit(ferry, 5, 20_000);
    await receive.exit(20_000);
    await trial.assertAsBefore();
    await trial.assertNextWorks();
  },
};
