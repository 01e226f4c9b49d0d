import {
  assertFails,
  assertNone,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { assertKilled, LibvirtLab, pass, RingDomain, Trial } from "../libvirt/lab/mod.ts";

const MiB = 1024 * 1024;

/** vmferry is killed at the very end; the guest keeps running at the destination until it is shut down there. */
export const scenario: Scenario = {
  name: "ended_there",
  about: "a guest that ran at the destination and ended there is not resumed at the source",
  timeoutMs: 240_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    await endsThere(context, lab, { name: "one", isReceiveKilled: false });
    await endsThere(context, lab, { name: "both", isReceiveKilled: true });
  },
};

async function endsThere(
  context: ScenarioContext,
  lab: LibvirtLab,
  { name, isReceiveKilled }: { readonly name: string; readonly isReceiveKilled: boolean },
): Promise<void> {
  context.note(isReceiveKilled ? "both ends are killed" : "the source is killed");
  const { source, destination } = lab;
  const guest = await RingDomain.start(lab, {
    name,
    disks: [{ format: "qcow2", bytes: 16 * MiB }, { format: "raw", bytes: 16 * MiB }],
    guest: { ramPages: 8192, ramStep: 4 },
  });
  const trial = await Trial.begin(context, lab, guest);
  const { domain, receive } = await trial.startFinish();
  domain.signal("SIGKILL");
  await assertKilled(domain);
  if (isReceiveKilled) {
    receive.signal("SIGKILL");
    await assertKilled(receive);
  }
  destination.signalDaemon("SIGCONT");
  await poll("the destination to run the guest", async () => {
    return (await destination.domains()).get(guest.name) === "running" || undefined;
  });
  await receive.exit(60_000);
  // One that finds the guest running still has to know later that it ran.
  if (isReceiveKilled) await trial.settleKept();
  await pass(4000); // times of files are in seconds
  await destination.virsh("destroy", guest.name);

  await lab.limitRate(null);
  const again = await trial.start();
  // Waiting changes nothing: it ends long before the 90 s that libvirt may take to decide.
  await assertFails(again.domain, 4, /^domain-unsettled/, 20_000);
  const state = (await source.domains()).get(guest.name);
  const faults = state === "paused" ? [] : [`The source's domain is ${state}, expected paused`];
  for (const i of [0, 1]) await Deno.stat(guest.image(destination, i).path);
  assertNone(faults);
  again.receive.signal("SIGTERM");
  await source.virsh("destroy", guest.name);
}
