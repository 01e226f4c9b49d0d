import { assertExit, assertNone, type Scenario } from "../support/scenario.ts";
import type { HostVmferry } from "../libvirt/lab/mod.ts";
import { LibvirtLab, pass, RingDomain, Trial } from "../libvirt/lab/mod.ts";

/** Pulls the cable in both phases, shorter and longer than vmferry takes a connection for dead. */
export const scenario: Scenario = {
  name: "cuts",
  about: "cuts of 1 and 5 s while disks and while RAM are copied lose nothing of a domain",
  timeoutMs: 120_000,
  slow: true,
  run: (context) => survive(context, [1, 5]),
};

/** A domain moves while the cable is pulled for so many seconds, in each phase. */
export async function survive(
  context: Parameters<Scenario["run"]>[0],
  seconds: readonly number[],
): Promise<void> {
  const lab = await LibvirtLab.start(context);
  const domain = await RingDomain.start(lab, { guest: { ramPages: 8192, ramStep: 4 } });
  const trial = await Trial.begin(context, lab, domain, ["--grace", "60", "--dead-after", "2"]);
  const { receive, domain: ferry } = await trial.startCopy();
  for (const cut of seconds) await pull(lab, ferry, "mirror", cut);
  await trial.waitRam({ domain: ferry, receive });
  for (const cut of seconds) await pull(lab, ferry, "ram", cut);
  await lab.limitRate(null);
  await assertExit(ferry, 0);
  await assertExit(receive, 0, 20_000);
  const sessions = ferry.events.entries.filter(({ event, state }) =>
    event === "link" && state === "up"
  );
  assertNone(sessions.length < seconds.length ? ["The cuts were not noticed"] : []);
  await trial.assertArrived();
}

async function pull(
  lab: LibvirtLab,
  ferry: HostVmferry,
  phase: string,
  seconds: number,
): Promise<void> {
  await lab.network.cut();
  await pass(seconds * 1000);
  await lab.network.restore();
  // The rest of the phase is still to come.
  const count = ferry.events.entries.length;
  await ferry.events.waitFor(
    `progress after a cut of ${seconds} s`,
    (e) => e.event === "progress" && ferry.events.entries.indexOf(e) >= count,
  );
  const last = ferry.events.entries.findLast((e) => e.event === "phase");
  if (last?.phase !== phase) throw new Error(`The cut came in ${last?.phase}, not in ${phase}`);
}
