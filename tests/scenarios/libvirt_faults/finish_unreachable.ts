import { assertExit, assertFails, assertNone, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { beginSmall } from "./finish_lost.ts";
import { LibvirtLab } from "../libvirt/lab/mod.ts";

/** The destination runs the guest, and the source cannot ask it for longer than it waits. */
export const scenario: Scenario = {
  name: "finish_unreachable",
  about:
    "a source that cannot ask exits with 4 and leaves its guest paused; the next try settles it",
  timeoutMs: 300_000,
  long: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const { source, destination } = lab;
    const trial = await beginSmall(context, lab, "vm1");
    const { domain, receive } = await trial.startFinish();
    await lab.network.cut();
    destination.signalDaemon("SIGCONT");
    await poll("the destination to run the guest", async () => {
      return (await destination.domains()).get("vm1") === "running" || undefined;
    });
    await assertFails(domain, 4, /^domain-unsettled: /, 150_000);
    const { next } = await domain.waitEvent("result") as unknown as { next: string[] };
    assertNone(next.some((line) => /virsh .*domstate/.test(line)) ? [] : [`Got next ${next}`]);
    const state = (await source.domains()).get("vm1");
    if (state !== "paused") throw new Error(`The source's domain is ${state}, expected paused`);
    await receive.exit(60_000);
    await lab.network.restore();

    trial.note("the next try settles it");
    const again = await trial.start();
    await assertExit(again.domain, 0);
    await assertExit(again.receive, 0, 20_000);
    await trial.assertArrived();
  },
};
