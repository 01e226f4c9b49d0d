import { assertExit, assertFails, type ScenarioContext } from "../../support/scenario.ts";
import { LaunchLab } from "./lab.ts";
import { migrate, signalReceive } from "./run.ts";
import { startGuest, type Step, STEPS, warmUp } from "./steps.ts";
import { LaunchTrial } from "./trial.ts";

/** Cancels a launch in each of these steps; both hosts must be as before each time. Then one succeeds. */
export async function cancelIn(
  context: ScenarioContext,
  names: readonly Step["name"][],
): Promise<void> {
  const lab = await LaunchLab.start(context);
  const guest = await startGuest(lab, names.includes("files"));
  await warmUp(lab);
  for (const name of names) {
    context.note(`Ctrl-C: ${name}`);
    const step = STEPS[name];
    await step.prepare(lab);
    const trial = await LaunchTrial.begin(lab, guest);
    const ferry = migrate(lab, [], `cancelled in ${name}`);
    await step.reached(lab, ferry);
    ferry.signal("SIGINT");
    await assertFails(ferry, 5, /SIGINT/);
    await step.restore(lab);
    await trial.assertUndone(/ \/usr\/bin\/qemu-system-x86_64 /);
  }
  context.note("the next try");
  const last = await LaunchTrial.begin(lab, guest);
  await last.assertNextWorks();
}

/** Each way to cancel at the destination; `cancel`: the command. */
const WAYS = ["cancel", "INT", "TERM"] as const;

/**
 * Cancels a launch at the destination in a step, by the command and by signals to the vmferry that was carried
 * there; both hosts must be as before each time, and the source reports where it was cancelled. Then one succeeds.
 */
export async function cancelThere(
  context: ScenarioContext,
  name: Extract<Step["name"], "copy" | "ram">,
): Promise<void> {
  const lab = await LaunchLab.start(context);
  const { destination } = lab;
  const guest = await startGuest(lab);
  await warmUp(lab);
  const step = STEPS[name];
  for (const way of WAYS) {
    context.note(`${way} at the destination: ${name}`);
    await step.prepare(lab);
    const trial = await LaunchTrial.begin(lab, guest);
    const ferry = migrate(lab, [], `${way} in ${name}`);
    await step.reached(lab, ferry);
    if (way === "cancel") {
      await assertExit(destination.vmferry({ name: way, args: ["cancel", "--json"] }), 0);
    } else await signalReceive(lab, way);
    const { side } = await assertFails(ferry, 1, /cancel/i);
    if (side !== "destination") throw new Error(`Got side ${side}, expected destination`);
    await step.restore(lab);
    await trial.assertUndone(/ \/usr\/bin\/qemu-system-x86_64 /);
  }
  context.note("the next try");
  const last = await LaunchTrial.begin(lab, guest);
  await last.assertNextWorks();
}
