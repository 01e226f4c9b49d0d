import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { assertKilled, LibvirtLab, pass, RingDomain, Trial, type Try } from "../libvirt/lab/mod.ts";

/** vmferry is killed while the destination's libvirt is asked to start the guest. */
export const scenario: Scenario = {
  name: "kills_end",
  about:
    "a guest runs on one host when vmferry is killed at the very end, and the next try settles it",
  timeoutMs: 150_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const killed = await killAtEnd(context, lab, "vm1", async ({ domain }) => {
      domain.signal("SIGKILL");
      await assertKilled(domain);
    });
    const there = await killDestination(context, lab, "vm2");
    return `source killed: ${killed}; destination killed: ${there}`;
  },
};

async function begin(context: ScenarioContext, lab: LibvirtLab, name: string) {
  context.note(name);
  const domain = await RingDomain.start(lab, {
    name,
    disks: [{ format: "qcow2", bytes: 16 << 20 }, { format: "raw", bytes: 16 << 20 }],
    guest: { ramPages: 8192, ramStep: 4 },
  });
  const trial = await Trial.begin(context, lab, domain);
  return { trial, ends: await trial.startFinish() };
}

/** A kill that the source's vmferry does not survive: the next one has to settle it. */
export async function killAtEnd(
  context: ScenarioContext,
  lab: LibvirtLab,
  name: string,
  doKill: (ends: Try) => Promise<void>,
): Promise<string> {
  const { trial, ends } = await begin(context, lab, name);
  await doKill(ends);
  lab.destination.signalDaemon("SIGCONT");
  await pass(1000);
  const here = (await lab.source.domains()).get(name);
  if (here !== "paused") throw new Error(`The source's domain is ${here}, expected paused`);

  context.note("the next try settles it");
  const { domain, receive } = await trial.start();
  const code = await domain.exit();
  if (code !== 0) throw new Error(`The next try ended with ${code}`);
  // Nothing was left to migrate, and so nothing to wait for.
  await assertExit(receive, 0, 20_000);
  await ends.receive.exit(30_000);
  await trial.settleKept();
  await trial.assertArrived();
  return "moved";
}

/** The source's vmferry survives: it asks the next `receive` at the same address. */
async function killDestination(
  context: ScenarioContext,
  lab: LibvirtLab,
  name: string,
): Promise<string> {
  const { trial, ends } = await begin(context, lab, name);
  const address = await ends.receive.address();
  ends.receive.signal("SIGKILL");
  await assertKilled(ends.receive);
  lab.destination.signalDaemon("SIGCONT");
  const receive = trial.receive(address);
  const code = await ends.domain.exit(90_000);
  if (code === 0) {
    await assertExit(receive, 0, 20_000);
    await trial.settleKept();
    await trial.assertArrived();
    return "moved";
  }
  if (code !== 1) throw new Error(`The source ended with ${code}`);
  await trial.assertRunsAtSource();
  const again = trial.domain(address);
  await assertExit(again, 0);
  await assertExit(receive, 0, 20_000);
  await trial.settleKept();
  await trial.assertArrived();
  return "stayed, then moved";
}
