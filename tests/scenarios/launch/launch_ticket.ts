import { assertExit, type Scenario } from "../support/scenario.ts";
import { LabGuest, launchByTicket, LaunchLab, TICKET_DIR } from "./lab/mod.ts";

/** Without ssh. */
export const scenario: Scenario = {
  name: "launch_ticket",
  about: "receive --launch builds the destination for the owner of its ticket, over one connection",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const disk = (format: "raw" | "qcow2") => ({ format, path: `${TICKET_DIR}/vm1.${format}` });
    const guest = await LabGuest.start(lab, { disks: [disk("qcow2"), disk("raw")] });
    const { receive, ferry } = await launchByTicket(lab);
    await assertExit(ferry, 0);
    await assertExit(receive, 0);
    await lab.assertConnections(1);
    await guest.assertArrived();
  },
};
