import { assertExit, type Scenario } from "../support/scenario.ts";
import { LaunchLab } from "../launch/lab/mod.ts";
import { assertArrived, assertNothingLeft, copy, makeImages, receive } from "./lab/mod.ts";

/** Without ssh, and with a connection that is lost once. */
export const scenario: Scenario = {
  name: "copy_ticket",
  about: "images arrive for the owner of a ticket, and a cut of the connection only delays them",
  timeoutMs: 120_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const images = await makeImages(lab);
    await lab.limitRate(16);
    const { receive: there, to } = await receive(lab);
    const ferry = copy(lab, images, to, null);
    await ferry.waitEvent("progress", (e) => (e.rate as number) > 0);
    await lab.network.cut();
    await ferry.waitEvent("link", (e) => e.state === "down");
    await lab.network.restore();
    await lab.limitRate(null);
    await assertExit(ferry, 0);
    await assertExit(there, 0);
    await assertArrived(lab);
    for (const host of [lab.source, lab.destination]) await assertNothingLeft(host);
  },
};
