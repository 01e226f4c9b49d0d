import type { Scenario } from "../support/scenario.ts";
import { assertMigrated, LibvirtLab, RingDomain, startDomainFerries } from "./lab/mod.ts";

/** The other scenarios' guests run in QEMU's interpreter, which every machine has. */
export const scenario: Scenario = {
  name: "kvm",
  about: "a domain on KVM moves with every write",
  timeoutMs: 120_000,
  async run(context) {
    const isThere = await Deno.stat("/dev/kvm").then(() => true, () => false);
    if (!isThere) return "not tried: there is no /dev/kvm";
    const lab = await LibvirtLab.start(context);
    for (const host of [lab.source, lab.destination]) await host.allowKvm();
    const guest = await RingDomain.start(lab, {
      kvm: true,
      disks: [{ format: "qcow2", bytes: 16 << 20 }, { format: "raw", bytes: 16 << 20 }],
      guest: { ramPages: 2048, ramStep: 16 },
    });
    const { totalMs, downtimeMs } = await assertMigrated(
      await startDomainFerries(context, lab, guest.name),
    );
    await guest.assertRamWhole(lab.destination);
    await guest.assertArrived();
    return `${totalMs} ms, downtime ${downtimeMs} ms`;
  },
};
