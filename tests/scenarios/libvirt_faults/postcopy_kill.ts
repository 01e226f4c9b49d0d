import { assertFails, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import {
  assertKilled,
  LibvirtLab,
  POSTCOPY_LAB,
  startBusy,
  startPostcopy,
  stateOf,
  Trial,
} from "../libvirt/lab/mod.ts";

/** vmferry is killed while the guest runs at the destination without all of its RAM. */
export const scenario: Scenario = {
  name: "postcopy_kill",
  about: "vmferry killed in post-copy ends no guest, and the next try says where its RAM is",
  timeoutMs: 120_000,
  long: true,
  async run(context) {
    const lab = await LibvirtLab.start(context, POSTCOPY_LAB);
    const domain = await startBusy(lab);
    const trial = await Trial.begin(context, lab, domain);
    const ends = await startPostcopy(trial, lab);
    ends.domain.signal("SIGKILL");
    await assertKilled(ends.domain);
    await poll("both QEMUs to notice it", async () => {
      const states = [await stateOf(lab.source), await stateOf(lab.destination)].join();
      return states === "paused (post-copy failed),running (post-copy failed)" || undefined;
    });
    await lab.limitRate(null);
    const reason = /^postcopy-failed: /;
    await assertFails(ends.receive, 4, reason);
    const next = await trial.start();
    await assertFails(next.domain, 4, reason);
    const { next: advice } = await next.domain.waitEvent("result");
    const text = JSON.stringify(advice);
    if (!/postcopy-resume/.test(text) || /destroy|virsh resume/.test(text)) {
      throw new Error(`Got the advice ${text}`);
    }
    next.receive.signal("SIGTERM");
    await next.receive.exit(20_000);
    const states = [await stateOf(lab.source), await stateOf(lab.destination)].join();
    if (states !== "paused (post-copy failed),running (post-copy failed)") {
      throw new Error(`The domain is ${states}`);
    }
  },
};
