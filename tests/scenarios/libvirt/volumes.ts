import type { Scenario } from "../support/scenario.ts";
import { assertMigrated, LibvirtLab, RingDomain, startDomainFerries } from "./lab/mod.ts";

/** Disks that the domain names by pool and volume. */
export const scenario: Scenario = {
  name: "volumes",
  about: "disks that are named as volumes of a pool move to volumes that vmferry creates there",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    for (const host of [lab.source, lab.destination]) await host.definePool();
    const guest = await RingDomain.start(lab, {
      disks: [
        { format: "qcow2", bytes: 32 << 20, isVolume: true },
        { format: "raw", bytes: 32 << 20, isVolume: true },
      ],
    });
    await assertMigrated(await startDomainFerries(context, lab, guest.name));
    const volumes = await lab.destination.virsh("vol-list", "default");
    for (const name of ["vm1-0.qcow2", "vm1-1.raw"]) {
      if (!volumes.includes(name)) throw new Error(`The pool has no volume ${name}: ${volumes}`);
    }
    await guest.assertArrived();
  },
};
