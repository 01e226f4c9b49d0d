import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import {
  assertFails,
  LibvirtLab,
  pass,
  POSTCOPY_ARGS,
  POSTCOPY_LAB,
  startBusy,
  startPostcopy,
  stateOf,
  Trial,
} from "./lab/mod.ts";

/** How long the cable is pulled, s. */
const CUT = 4;

/** RAM in post-copy. */
export const scenario: Scenario = {
  name: "postcopy",
  about: "a domain moves in post-copy through a cut; nothing is copied where QEMU may not use it",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LibvirtLab.start(context, POSTCOPY_LAB);
    const domain = await startBusy(lab);
    const trial = await Trial.begin(context, lab, domain, ["--grace", "60", "--dead-after", "1"]);
    await refused(context, lab, trial);
    const ends = await startPostcopy(trial, lab);
    const there = await stateOf(lab.source);
    if (there !== "paused (post-copy)") throw new Error(`The source's domain is ${there}`);
    await lab.network.cut();
    await pass(CUT * 1000);
    if (await stateOf(lab.destination) !== "running (post-copy)") {
      throw new Error("Post-copy was over before the cable was restored");
    }
    await lab.network.restore();
    await lab.limitRate(null);
    await assertExit(ends.domain, 0);
    await assertExit(ends.receive, 0, 20_000);
    await domain.assertRamWhole(lab.destination);
    await trial.assertArrived();
  },
};

/** QEMU of another user than root may not use userfaultfd, unless the system allows it to all. */
async function refused(context: ScenarioContext, lab: LibvirtLab, trial: Trial): Promise<void> {
  const allowed = await Deno.readTextFile("/proc/sys/vm/unprivileged_userfaultfd");
  if (allowed.trim() !== "0") return context.note("every user may use userfaultfd");
  const { destination } = lab;
  const conf = destination.file("/etc/libvirt/qemu.conf");
  const text = await Deno.readTextFile(conf);
  await destination.stopDaemon();
  await Deno.writeTextFile(conf, text.replaceAll(/^(user|group) = .*$/gm, ""));
  await destination.startDaemon();
  const { domain, receive } = await trial.start(POSTCOPY_ARGS);
  const { side } = await assertFails(domain, 1, /Postcopy is not supported.*userfaultfd/);
  if (side !== "destination") throw new Error(`Got the side ${side}`);
  const { bytes } = await domain.waitEvent("result");
  if (Number(bytes) > 1 << 20) throw new Error(`${bytes} bytes crossed before it was refused`);
  await receive.exit(20_000);
  await trial.assertAsBefore();
  await destination.stopDaemon();
  await Deno.writeTextFile(conf, text);
  await destination.startDaemon();
}
