import { assertFails, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { beginSmall } from "./finish_lost.ts";
import { LibvirtLab, pass } from "../libvirt/lab/mod.ts";

/** The session is lost for good after the guest was paused, and before the destination may start it. */
export const scenario: Scenario = {
  name: "finish_unsent",
  about: "a guest runs on at the source when the destination is never asked to start it",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    await callLost(context, lab, "vm1");
  },
};

/** The destination's libvirt is never asked to start the guest. */
async function callLost(context: ScenarioContext, lab: LibvirtLab, name: string): Promise<void> {
  const { source } = lab;
  const trial = await beginSmall(context, lab, name);
  const { domain, receive } = await trial.startRam();
  trial.note("virsh is stopped between Perform and Finish");
  await source.run(["pkill", "-STOP", "-f", "[v]irsh.* migrate "]);
  await lab.limitRate(null);
  await domain.waitEvent("phase", (e) => e.phase === "switchover");
  await pass(1500);
  await lab.network.cut();
  await source.run(["pkill", "-CONT", "-f", "[v]irsh.* migrate "]);
  await domain.waitEvent("phase", (e) => e.phase === "handover");
  await domain.waitEvent("link", (e) => e.state === "down");
  await pass(5000);
  await lab.network.restore();
  await assertFails(domain, 1, /^connection-lost|^session/);
  await receive.exit(30_000);
  await trial.assertAsBefore();
  await trial.assertNextWorks();
}
