import { assertExit, type Scenario } from "../support/scenario.ts";
import { DESTINATION, LaunchLab } from "../launch/lab/mod.ts";
import { assertArrived, assertNothingLeft, copy, DIR, makeImages } from "./lab/mod.ts";

/** Nothing of vmferry is at the destination before. */
export const scenario: Scenario = {
  name: "copy_ssh",
  about: "images of a guest that is shut off arrive over ssh: same content, format and size, thin",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const images = await makeImages(lab);
    const ferry = copy(lab, images, ["--map", `${DIR}=${DIR}/new`], DESTINATION);
    await assertExit(ferry, 3);
    context.note("the directory does not exist");
    await lab.destination.must("mkdir", `${DIR}/new`);
    const again = copy(lab, images, ["--map", `${DIR}=${DIR}/new`], DESTINATION);
    await assertExit(again, 0);
    const { images: arrived } = await again.waitEvent("copy");
    await assertArrived(lab, undefined, (name) => `${DIR}/new/${name}`);
    for (const host of [lab.source, lab.destination]) await assertNothingLeft(host);
    return `${(arrived as unknown[]).length} images`;
  },
};
