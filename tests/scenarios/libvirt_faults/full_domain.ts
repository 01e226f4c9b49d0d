import { assertFails, type Scenario } from "../support/scenario.ts";
import { type LibvirtHost, LibvirtLab, RingDomain, Trial } from "../libvirt/lab/mod.ts";

const IMAGES = "/var/lib/libvirt/images";

/** The destination's file system is full: from the start, and during the copy. */
export const scenario: Scenario = {
  name: "full_domain",
  about: "a full disk at the destination is refused or named, and the domain runs on at the source",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const { destination } = lab;
    const domain = await RingDomain.start(lab);
    const trial = await Trial.begin(context, lab, domain);

    trial.note("no room from the start: 128 MiB of data, 100 MiB free");
    await mountImages(destination, "100m");
    const refused = await trial.start();
    const { side } = await assertFails(refused.domain, 3, /^no-room: .*100 MiB free/);
    if (side !== "destination") throw new Error(`The side is ${side}, expected destination`);
    refused.receive.signal("SIGTERM");
    await refused.receive.exit(20_000);
    await trial.assertAsBefore();

    trial.note("another program fills the disk during the copy");
    await destination.run(["umount", IMAGES]);
    await mountImages(destination, "200m");
    const { domain: ferry, receive } = await trial.startCopy();
    const filler = `${IMAGES}/filler`;
    await destination.run(["sh", "-c", `cat /dev/zero >${filler}`]);
    const error = await assertFails(
      ferry,
      1,
      /^disk-full: .*No space left on device/s,
    );
    if (error.side !== "destination") throw new Error(`The side is ${error.side}`);
    await receive.exit(20_000);
    await destination.run(["rm", filler]);
    await trial.assertAsBefore();
    await trial.assertNextWorks();
    return error.message;
  },
};

async function mountImages(host: LibvirtHost, size: string): Promise<void> {
  const options = `size=${size},mode=711`;
  const { code, stderr } = await host.run(["mount", "-t", "tmpfs", "-o", options, "none", IMAGES]);
  if (code !== 0) throw new Error(`mount: ${stderr}`);
}
