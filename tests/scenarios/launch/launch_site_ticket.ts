import { shellCommand } from "../../../src/launch/mod.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { LabGuest, launchByTicket, LaunchLab, TICKET_DIR } from "./lab/mod.ts";

/** Without ssh the destination's administrator says how QEMU is started. */
export const scenario: Scenario = {
  name: "launch_site_ticket",
  about: "receive --launch --start has its own command start QEMU for the owner of its ticket",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const guest = await LabGuest.start(lab, {
      disks: [{ format: "qcow2", path: `${TICKET_DIR}/vm1.qcow2` }],
    });
    const script = `${lab.shared}/start`;
    const command = shellCommand([...guest.argv, "-incoming", "defer"]);
    await Deno.writeTextFile(script, `setsid ${command} </dev/null >/dev/null 2>&1 &\n`);
    const { receive, ferry } = await launchByTicket(lab, [
      ...["--start", `sh ${script}`, "--stop", "false"],
    ]);
    await assertExit(ferry, 0);
    await assertExit(receive, 0);
    await guest.assertArrived();
  },
};
