import { assertExit, type Scenario } from "../support/scenario.ts";
import {
  CHANNELS,
  LibvirtLab,
  makeChannelDirectories,
  RingDomain,
  startForward,
  virshMigrate,
} from "./lab/mod.ts";

/** The recipe of docs/libvirt.md: a tunnel that is started by hand, and libvirt's own migration. */
export const scenario: Scenario = {
  name: "recipe",
  about: "virsh migrate copies disks and RAM through one connection of vmferry forward",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const domain = await RingDomain.start(lab);
    await domain.makeEmptyImages();
    await makeChannelDirectories(lab);
    const secret = `${context.dir}/secret`;
    await Deno.writeTextFile(secret, crypto.randomUUID(), { mode: 0o600 });
    const { from, to } = await startForward(lab, secret);

    const { code, stderr, seconds } = await virshMigrate(lab, domain.name);
    if (code !== 0) throw new Error(`virsh migrate ended with ${code}: ${stderr}`);
    await lab.assertConnections(1);
    for (const ferry of [from, to]) {
      ferry.signal("SIGTERM");
      await assertExit(ferry, 0, 20_000);
    }
    for (const { name, source } of CHANNELS) {
      if (await Deno.stat(lab.source.file(source)).then(() => true, () => false)) {
        throw new Error(`The source still has the socket of ${name}`);
      }
    }
    await domain.assertArrived();
    return `${seconds.toFixed(1)} s`;
  },
};
