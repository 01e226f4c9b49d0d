import { assertExit, assertFails, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import {
  LibvirtLab,
  makeChannelDirectories,
  POSTCOPY_LAB,
  startBusy,
  startForward,
  startPostcopy,
  stateOf,
  Trial,
  virshPostcopyResume,
} from "../libvirt/lab/mod.ts";

/** The session is lost for good while the guest runs at the destination without all of its RAM. */
export const scenario: Scenario = {
  name: "postcopy_lost",
  about: "a session lost in post-copy ends no guest, and the recipe sends the rest of the RAM",
  timeoutMs: 120_000,
  long: true,
  async run(context) {
    const lab = await LibvirtLab.start(context, POSTCOPY_LAB);
    const { source, destination } = lab;
    const domain = await startBusy(lab);
    const trial = await Trial.begin(context, lab, domain);
    const ends = await startPostcopy(trial, lab);
    await lab.network.cut();
    const reason = /^postcopy-failed: /;
    await poll("both QEMUs to notice it", async () => {
      return (await stateOf(source)).includes("failed") &&
          (await stateOf(destination)).includes("failed") || undefined;
    }, 60_000);
    await lab.network.restore();
    await lab.limitRate(null);
    await assertFails(ends.domain, 4, reason);
    await assertFails(ends.receive, 4, reason);
    const states = [await stateOf(source), await stateOf(destination)].join();
    if (states !== "paused (post-copy failed),running (post-copy failed)") {
      throw new Error(`The domain is ${states}`);
    }

    trial.note("the next try changes nothing");
    const next = await trial.start();
    await assertFails(next.domain, 4, reason);
    next.receive.signal("SIGTERM");
    await next.receive.exit(20_000);

    trial.note("the recipe");
    await makeChannelDirectories(lab);
    const { from, to } = await startForward(lab, `${context.dir}/secret`);
    const { code, stderr } = await virshPostcopyResume(lab, domain.name);
    if (code !== 0) throw new Error(`virsh migrate --postcopy-resume: ${code} ${stderr}`);
    for (const ferry of [from, to]) {
      ferry.signal("SIGTERM");
      await assertExit(ferry, 0, 20_000);
    }

    trial.note("a last one finds out that it has moved");
    const last = await trial.start();
    await assertExit(last.domain, 0);
    last.receive.signal("SIGTERM");
    await last.receive.exit(20_000);
    await domain.assertRamWhole(destination);
    for (const host of [source, destination]) {
      await host.run(["rm", "-r", "/run/libvirt/qemu/ferry"]);
    }
    await trial.assertArrived();
  },
};
