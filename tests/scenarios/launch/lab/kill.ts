import { assertExit, type ScenarioContext } from "../../support/scenario.ts";
import { poll } from "../../support/waiting.ts";
import { LaunchLab } from "./lab.ts";
import { migrate, signalReceive } from "./run.ts";
import { startGuest, type Step, STEPS, warmUp } from "./steps.ts";
import { LaunchTrial } from "./trial.ts";

/**
 * Kills vmferry in a step, first at the source: the destination must be as before, and the next command
 * undoes the rest. Then at the destination: the source must report it. The guest stays at the source each time. Then
 * one succeeds.
 */
export async function killIn(context: ScenarioContext, name: Step["name"]): Promise<void> {
  const lab = await LaunchLab.start(context);
  const { source, destination } = lab;
  const guest = await startGuest(lab, name === "files");
  const step = STEPS[name];
  await warmUp(lab);
  await step.prepare(lab);
  const trial = await LaunchTrial.begin(lab, guest);

  context.note("the source is killed");
  const first = migrate(lab, [], "killed");
  await step.reached(lab, first);
  first.signal("SIGKILL");
  await assertExit(first, 128 + 9);
  await step.restore(lab);
  await trial.assertUndoneOn(destination, / \/usr\/bin\/qemu-system-x86_64 /);
  await guest.assertRunsOnlyOn(source);

  context.note("the destination is killed");
  await step.prepare(lab);
  const second = migrate(lab, [], "its destination is killed");
  await step.reached(lab, second);
  await signalReceive(lab, "KILL");
  await assertExit(second, 1, 40_000);
  await step.restore(lab);
  const ended = async () => await guest.status(destination).then(() => undefined, () => true);
  context.note(await ended() ? "no QEMU is left there" : "QEMU is left there");
  await guest.assertRunsOnlyOn(source);

  context.note("the next try");
  await trial.assertNextWorks();
  await poll("no record to be left", async () => {
    const found = await Promise.all(
      [source, destination].map((host) => host.run(["find", "/run/vmferry", "-type", "f"])),
    );
    return found.every(({ stdout }) => stdout === "") || undefined;
  }, 20_000);
}
