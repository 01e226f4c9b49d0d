import type { ScenarioContext } from "../../support/scenario.ts";
import { LaunchLab } from "./lab.ts";
import { assertFails, migrate } from "./run.ts";
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
