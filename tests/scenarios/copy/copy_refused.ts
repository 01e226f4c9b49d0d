import { assertRefused, type Scenario } from "../support/scenario.ts";
import { LaunchLab } from "../launch/lab/mod.ts";
import {
  assertArrived,
  assertNothingLeft,
  copy,
  DIR,
  holdImage,
  IMAGES,
  makeImages,
  receive,
} from "./lab/mod.ts";

/** Nothing is written in any of these cases, and at last something is replaced. */
export const scenario: Scenario = {
  name: "copy_refused",
  about: "an image in use, one that exists and another format are refused; --reuse replaces one",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    const images = await makeImages(lab, 8);
    const { receive: there, to } = await receive(lab);
    const refused = async (args: readonly string[], reason: RegExp, paths = images) => {
      context.note(`expected: ${reason}`);
      await assertRefused(copy(lab, paths, [...to, ...args], null), reason);
    };

    const release = await holdImage(source, images[0]!, "qcow2");
    await refused([], /image-in-use.*a\.qcow2 is in use by qemu-system-x86 \(pid \d+\)/);
    await release();
    const releaseRaw = await holdImage(source, images[1]!, "raw");
    await refused([], /image-in-use.*b\.raw is in use by qemu-system/);
    await releaseRaw();
    await refused(["--format", "qcow2"], /image-unfit.*not in qcow2 format/, [images[1]!]);
    await source.must("qemu-img", "create", "-q", "-f", "vmdk", `${DIR}/c.vmdk`, "1M");
    await refused([], /image-unfit.*it is vmdk, expected raw or qcow2/, [`${DIR}/c.vmdk`]);
    await refused([], /image-missing.*does not exist/, [`${DIR}/none.raw`]);
    await refused(
      ["--map", `${DIR}=/etc/vms`],
      /launch-not-allowed.*\/etc\/vms belongs to the host/,
    );
    await refused(["--map", `${DIR}=/srv/none`], /image-not-created.*does not exist. Create it/);

    await destination.must("qemu-img", "create", "-q", "-f", "qcow2", images[0]!, "64M");
    await refused([], /image-exists.*--reuse \/var\/lib\/vms\/a\.qcow2/);
    const releaseThere = await holdImage(destination, images[0]!, "qcow2");
    await refused(["--reuse", images[0]!], /image-in-use.*is in use by qemu-system/);
    await releaseThere();
    await assertNothingLeft(source);

    context.note("it is replaced");
    await destination.must("chmod", "0640", images[0]!);
    const ferry = copy(lab, images, [...to, "--reuse", images[0]!], null);
    if (await ferry.exit() !== 0 || await there.exit() !== 0) throw new Error("It was not copied");
    await assertArrived(lab);
    const mode = await destination.must("stat", "-c", "%a", images[0]!);
    if (mode !== "640") throw new Error(`The mode is ${mode}, expected that of the old image`);
    for (const host of [source, destination]) await assertNothingLeft(host);
    return `${IMAGES.length} images`;
  },
};
