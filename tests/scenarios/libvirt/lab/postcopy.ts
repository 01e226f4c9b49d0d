/**
 * A domain in post-copy: its guest runs at the destination before all of its RAM is there.
 *
 * @module
 */
import { poll } from "../../support/waiting.ts";
import { RingDomain } from "./domain.ts";
import type { LibvirtHost } from "./host.ts";
import type { LabOptions, LibvirtLab } from "./lab.ts";
import type { Trial, Try } from "./trial.ts";

/** QEMU needs userfaultfd, which only root may use where vm.unprivileged_userfaultfd is 0. */
export const POSTCOPY_LAB: LabOptions = { qemuConf: ['user = "root"', 'group = "root"'] };

export const POSTCOPY_ARGS: readonly string[] = ["--", "--postcopy", "--postcopy-after-precopy"];

/** A guest that changes all of its RAM faster than a slow cable carries it. */
export async function startBusy(lab: LibvirtLab): Promise<RingDomain> {
  return await RingDomain.start(lab, {
    disks: [{ format: "qcow2", bytes: 16 << 20 }, { format: "raw", bytes: 16 << 20 }],
    guest: { ramPages: 8192, ramStep: 64 },
  });
}

/**
 * Starts both ends, and waits until the guest runs at the destination while RAM crosses slowly.
 *
 * @param byHand virsh switches to post-copy, and not libvirt after the first pass over RAM.
 */
export async function startPostcopy(trial: Trial, lab: LibvirtLab, byHand = false): Promise<Try> {
  await lab.limitRate(24);
  const ends = await trial.start(byHand ? POSTCOPY_ARGS.slice(0, -1) : POSTCOPY_ARGS);
  if (byHand) {
    await trial.waitRam(ends);
    await lab.source.virsh("migrate-postcopy", "vm1");
  } else {
    await ends.receive.waitEvent("phase", (e) => e.phase === "ram");
    // At 24 MiB/s the rest of RAM could be over before anybody sees that post-copy has begun.
    await lab.limitRate(8);
  }
  await ends.receive.waitEvent("phase", (e) => e.phase === "handover");
  await lab.limitRate(2);
  await poll("the guest to run in post-copy", async () => {
    return await stateOf(lab.destination) === "running (post-copy)" || undefined;
  });
  return ends;
}

/** State and reason of `vm1`, such as "paused (post-copy)". */
export async function stateOf(host: LibvirtHost): Promise<string> {
  return await host.virsh("domstate", "--reason", "vm1");
}
