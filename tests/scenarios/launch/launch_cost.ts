import type { HostVmferry } from "../support/host_vmferry.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { LabGuest, LaunchLab, migrate, warmUp } from "./lab/mod.ts";

/** The most that a launch may take beyond the creation of its images, s. */
const MOST_S = 5;

/** What a launch adds to a migration. */
export const scenario: Scenario = {
  name: "launch_cost",
  about: `preparing a launch takes at most ${MOST_S} s beyond the creation of its images`,
  timeoutMs: 120_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { destination } = lab;
    const disks = Array.from({ length: 4 }, () => ({ format: "qcow2" as const }));
    const guest = await LabGuest.start(lab, { disks });
    await warmUp(lab);
    const begin = performance.now();
    await destination.must("mkdir", "/var/lib/vm");
    for (const path of guest.images) {
      await destination.must("qemu-img", "create", "-q", "-f", "qcow2", path, String(64 << 20));
    }
    const images = (performance.now() - begin) / 1000;
    await destination.must("rm", "-r", "/var/lib/vm");

    const start = performance.now();
    const ferry = migrate(lab);
    // The time of an event is that of this machine, too.
    await ferry.waitEvent("phase", (e) => e.phase === "mirror");
    const whole = (performance.now() - start) / 1000;
    await assertExit(ferry, 0);
    const launch = await between(ferry, "launch", "prepare");
    const connect = await between(ferry, "prepare", "launch");
    const figures = `${whole.toFixed(1)} s from the command to the first copy, of it ` +
      `${connect.toFixed(1)} s for the connection and ${launch.toFixed(1)} s for the launch; ` +
      `the images alone take ${images.toFixed(1)} s`;
    if (launch - images > MOST_S) throw new Error(figures);
    await guest.assertArrived();
    return figures;
  },
};

/** From the first beginning of a phase to the next one of another, s. */
async function between(ferry: HostVmferry, first: string, next: string): Promise<number> {
  const begin = await ferry.waitEvent("phase", (e) => e.phase === first);
  const end = await ferry.waitEvent("phase", (e) => e.phase === next && e.time > begin.time);
  return (Date.parse(end.time) - Date.parse(begin.time)) / 1000;
}
