import { assertFails, type Scenario } from "../support/scenario.ts";
import { LibvirtLab, POSTCOPY_ARGS, startBusy, Trial } from "./lab/mod.ts";

/** QEMU's user may use userfaultfd only where the system allows it to all. */
export const scenario: Scenario = {
  name: "postcopy_refused",
  about: "where QEMU cannot receive post-copy, no disk is copied and the error names userfaultfd",
  timeoutMs: 120_000,
  async run(context) {
    const allowed = await Deno.readTextFile("/proc/sys/vm/unprivileged_userfaultfd");
    if (allowed.trim() !== "0") return "not tried: every user may use userfaultfd";
    const lab = await LibvirtLab.start(context);
    const trial = await Trial.begin(context, lab, await startBusy(lab));
    const { domain, receive } = await trial.start(POSTCOPY_ARGS);
    const { side } = await assertFails(domain, 1, /Postcopy is not supported.*userfaultfd/);
    if (side !== "destination") throw new Error(`Got the side ${side}`);
    const { bytes } = await domain.waitEvent("result");
    if (Number(bytes) > 1 << 20) throw new Error(`${bytes} bytes crossed before it was refused`);
    await receive.exit(20_000);
    await trial.assertAsBefore();
    return `${bytes} bytes crossed`;
  },
};
