/**
 * The steps of a launch, for what disturbs it in each of them.
 *
 * @module
 */
import type { HostVmferry } from "../../support/host_vmferry.ts";
import { allMove } from "../../support/vmferry.ts";
import { assertExit } from "../../support/scenario.ts";
import { migrate } from "./run.ts";
import { LabGuest, type LabGuestOptions } from "./guest.ts";
import type { LaunchLab } from "./lab.ts";
import { restoreProgram, restoreQemu, slowImages, slowQemu, waitFor } from "./slow_qemu.ts";

/** A step of a launch: it is made to last, and waited for. */
export interface Step {
  readonly name: "plan" | "images" | "files" | "start" | "copy" | "ram";
  /** Makes the step last. */
  prepare(lab: LaunchLab): Promise<void>;
  /** Waits until a migration is in it. */
  reached(lab: LaunchLab, ferry: HostVmferry): Promise<unknown>;
  /** The step takes no longer than usual again. */
  restore(lab: LaunchLab): Promise<void>;
}

const slowly = {
  prepare: (lab: LaunchLab) => lab.limitRate(2),
  restore: (lab: LaunchLab) => lab.limitRate(null),
};
const nothing = async () => {};

/** All steps, in their order. */
export const STEPS: Readonly<Record<Step["name"], Step>> = {
  plan: {
    ...{ name: "plan", prepare: nothing, restore: nothing },
    reached: async ({ destination }, ferry) => {
      await ferry.waitEvent("phase", (e) => e.phase === "launch");
      await waitFor(destination, "[v]mferry.* receive ");
    },
  },
  images: {
    ...{ name: "images", prepare: slowImages, restore: (lab) => restoreProgram(lab, "qemu-img") },
    reached: ({ destination }) => waitFor(destination, "^/bin/bash .*qemu-img create "),
  },
  files: {
    ...{ name: "files", ...slowly },
    reached: (_, ferry) => ferry.waitEvent("progress", (e) => e.phase === "launch"),
  },
  start: {
    ...{ name: "start", prepare: slowQemu, restore: restoreQemu },
    reached: ({ destination }) => waitFor(destination, "^/bin/bash .*qemu-system.* -incoming"),
  },
  copy: {
    ...{ name: "copy", ...slowly },
    reached: (_, ferry) => ferry.waitEvent("progress", (e) => e.phase === "mirror" && allMove(e)),
  },
  ram: {
    name: "ram",
    prepare: nothing,
    // The disks are copied at full speed.
    reached: async (lab, ferry) => {
      await ferry.waitEvent("phase", (e) => e.phase === "ram");
      await lab.limitRate(1);
      await ferry.waitEvent("progress", (e) => e.phase === "ram");
    },
    restore: (lab) => lab.limitRate(null),
  },
};

/** A medium of the guest's that only the source has. */
const CD = "/var/lib/vm/iso/a cd.iso";

/** A guest with two disks, RAM that changes and, for step "files", a CD of 12 MiB. */
export async function startGuest(
  lab: LaunchLab,
  hasCd = false,
  options: Pick<LabGuestOptions, "start"> = {},
): Promise<LabGuest> {
  if (hasCd) {
    await lab.source.must("mkdir", "-p", "/var/lib/vm/iso");
    const content = new Uint8Array(12 << 20);
    for (let at = 0; at < content.length; at += 65536) {
      crypto.getRandomValues(content.subarray(at, at + 65536));
    }
    await Deno.writeFile(lab.source.file(CD), content);
  }
  return await LabGuest.start(lab, {
    ...options,
    guest: { ramPages: 4096, ramStep: 8 },
    extra: hasCd
      ? [
        ...["-drive", `if=none,id=cd,media=cdrom,readonly=on,format=raw,file=${CD}`],
        ...["-device", "ide-cd,drive=cd,id=cd0"],
      ]
      : [],
  });
}

/** Has vmferry carry itself over, so that no slow cable has to. */
export async function warmUp(lab: LaunchLab): Promise<void> {
  await assertExit(migrate(lab, ["--dry-run"], "warm-up"), 0);
}
