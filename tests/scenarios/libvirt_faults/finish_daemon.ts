import { assertExit, type Scenario } from "../support/scenario.ts";
import { beginSmall } from "./finish_lost.ts";
import { LibvirtLab } from "../libvirt/lab/mod.ts";

/** The destination's libvirtd is killed while it is asked to start the guest, and started again. */
export const scenario: Scenario = {
  name: "finish_daemon",
  about:
    "a guest runs on one host when the destination's libvirtd is killed as it starts the guest",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const trial = await beginSmall(context, lab, "vm1");
    const { domain, receive } = await trial.startFinish();
    await lab.destination.stopDaemon("SIGKILL");
    await lab.destination.startDaemon();
    const code = await domain.exit(60_000);
    await receive.exit(30_000);
    if (code === 0) {
      await trial.assertArrived();
      return "moved";
    }
    await assertExit(domain, 1);
    await trial.assertRunsAtSource();
    await trial.assertNextWorks();
    return "stayed";
  },
};
