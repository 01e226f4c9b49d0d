import { type LabGuest, LaunchLab, migrate, signalReceive, startGuest } from "../launch/lab/mod.ts";
import type { LabHost } from "../support/lab_host.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** The destination is killed just as the guest changes hosts. */
export const scenario: Scenario = {
  name: "launch_kill_handover_there",
  about:
    "after a kill of the destination in the handover of a launch the guest runs once, and the named next steps work",
  timeoutMs: 480_000,
  long: true,
  async run(context) {
    const figures: string[] = [];
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    for (const phase of ["switchover", "handover"]) {
      context.note(`the destination is killed: ${phase}`);
      for (const host of [source, destination]) await host.must("rm", "-rf", "/var/lib/vm");
      const guest = await startGuest(lab);
      const ferry = migrate(lab, [], phase);
      await ferry.waitEvent("phase", (e) => e.phase === phase, 120_000);
      await signalReceive(lab, "KILL");
      const code = await ferry.exit(90_000);
      const { next } = await ferry.waitEvent("result") as unknown as { next: string[] };
      const there = await guest.status(destination).catch(() => "gone");
      context.note(`exit ${code}, the destination's QEMU is ${there}; next: ${next.join(" / ")}`);
      figures.push(`${phase}: exit ${code}, ${there} there`);
      switch (code) {
        case 1:
          await guest.assertRunsOnlyOn(source);
          await assertExit(migrate(lab, [], "next"), 0, 120_000);
          break;
        case 4:
          await follow(lab, guest, next, there === "running");
          break;
        default:
          if (code !== 0) throw new Error(`${phase}: exit ${code}, expected 0, 1 or 4`);
      }
      await guest.assertArrived();
      await assertForgotten(lab);
    }
    return figures.join(", ");
  },
};

/** Does what the source says where nobody knows who has the guest. */
async function follow(
  lab: LaunchLab,
  guest: LabGuest,
  next: readonly string[],
  isThere: boolean,
): Promise<void> {
  const { source, destination } = lab;
  const [look = "", force = ""] = [/guest runs there: (.*)$/, /: (\S.* --force-run-here)$/]
    .map((pattern) => next.map((step) => pattern.exec(step)?.[1]).find((found) => found));
  const said = await destination.must("sh", "-c", `${look} 2>&1`);
  if (isThere) {
    if (!/running/.test(said)) throw new Error(`${look} says ${said}, expected running`);
    await destination.must("sh", "-c", `${look} --yes`);
    return;
  }
  await guest.quit(destination);
  await source.must("sh", "-c", force);
  await guest.assertRunsOnlyOn(source);
  // Nothing of it was removed there.
  await assertExit(migrate(lab, ["--reuse", "vd0", "--reuse", "vd1"], "next"), 0);
}

/** Both QEMUs have ended: a `recover` finds nothing that the next migration would be asked about. */
async function assertForgotten({ source, destination }: LaunchLab): Promise<void> {
  for (const host of [source, destination]) await forget(host);
}

async function forget(host: LabHost): Promise<void> {
  const recover = host.vmferry({
    name: `${host.name}: recover`,
    args: ["recover", "--json", "--qmp", "/run/vm1.qmp", "--force-run-here"],
  });
  await assertExit(recover, 0);
  const { stdout } = await host.run(["find", "/run/vmferry", "-type", "f"]);
  if (stdout !== "") throw new Error(`${host.name}: left ${stdout}`);
}
