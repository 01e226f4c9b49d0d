import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { LibvirtLab, pass, RingDomain, Trial } from "../libvirt/lab/mod.ts";

/**
 * The session is lost for good at the worst moment. With plain virsh the guest then runs twice:
 * findings/libvirt_lost_finish.sh.
 */
export const scenario: Scenario = {
  name: "finish_lost",
  about: "a guest never runs on both hosts when the answer that it was started is lost",
  timeoutMs: 180_000,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    await replyLost(context, lab, "vm1");
  },
};

/** A small domain, as only its end matters. */
export async function beginSmall(context: ScenarioContext, lab: LibvirtLab, name: string) {
  context.note(name);
  const domain = await RingDomain.start(lab, {
    name,
    disks: [{ format: "qcow2", bytes: 16 << 20 }, { format: "raw", bytes: 16 << 20 }],
    guest: { ramPages: 8192, ramStep: 4 },
  });
  return await Trial.begin(context, lab, domain);
}

/** The destination's libvirt starts the guest, and the source does not hear of it. */
async function replyLost(context: ScenarioContext, lab: LibvirtLab, name: string): Promise<void> {
  const { destination } = lab;
  const trial = await beginSmall(context, lab, name);
  const { domain, receive } = await trial.startFinish();
  await lab.network.cut();
  destination.signalDaemon("SIGCONT");
  await poll("the destination to run the guest", async () => {
    return (await destination.domains()).get(name) === "running" || undefined;
  });
  trial.note("until both ends have given the session up");
  await domain.waitEvent("link", (e) => e.state === "down");
  await pass(5000);
  await lab.network.restore();
  await assertExit(domain, 0);
  await assertExit(receive, 0, 30_000);
  await trial.assertArrived();
}
