import type { Scenario } from "../support/scenario.ts";
import {
  assertDomainRefused,
  assertMigrated,
  LibvirtLab,
  RingDomain,
  startDomainFerries,
} from "./lab/mod.ts";

const MiB = 1024 * 1024;
const ROOT = "/dev/vg0/root";
const DATA = "/dev/vg0/data";

/** Logical volumes, as libvirt has them: block devices at the same path of both hosts. */
export const scenario: Scenario = {
  name: "block_devices",
  about:
    "disks on block devices move to devices of the same size that --reuse names, others are refused",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const { destination } = lab;
    const guest = await RingDomain.start(lab, {
      disks: [
        { format: "qcow2", bytes: 32 * MiB, device: ROOT },
        { format: "raw", bytes: 32 * MiB, device: DATA },
      ],
    });
    context.note("no device");
    const start = (...args: string[]) =>
      startDomainFerries(context, lab, guest.name, { args, receive });
    const first = await startDomainFerries(context, lab, guest.name);
    const { receive } = first;
    await assertDomainRefused(first, /vda.*no block device.*--reuse vda.*vdb.*--reuse vdb/s);

    context.note("a device without the format, one that is too small");
    const resize = async (mib: number) => {
      await Deno.truncate(image(1), mib * MiB);
      await destination.attachLoop(guest.path(1), DATA, "raw");
    };
    const image = (disk: number) => destination.file(guest.path(disk));
    for (const disk of [0, 1]) {
      await Deno.writeFile(image(disk), new Uint8Array());
      await Deno.truncate(image(disk), (disk === 0 ? 48 : 16) * MiB);
    }
    await destination.attachLoop(guest.path(0), ROOT, "raw");
    await destination.attachLoop(guest.path(1), DATA, "raw");
    await assertDomainRefused(await start(), /vda.*is a block device.*--reuse vda/s);
    const reuse = ["--reuse", "vda", "--reuse", "vdb"];
    const small = /vda.*format raw.*qemu-img create -f qcow2.*vdb.*has 16 MiB/s;
    await assertDomainRefused(await start(...reuse), small);

    context.note("a device that is too large");
    const argv = ["qemu-img", "create", "-f", "qcow2", ROOT, String(32 * MiB)];
    const { code, stderr } = await destination.run(argv);
    if (code !== 0) throw new Error(stderr);
    await resize(40);
    const { error } = await assertDomainRefused(await start(...reuse), /vdb.*has 40 MiB/s);
    if (/disk vda/.test(JSON.stringify(error))) throw new Error(`Got ${JSON.stringify(error)}`);

    context.note("devices of the same size");
    await resize(32);
    await assertMigrated(await start(...reuse));
    await guest.assertArrived();
  },
};
