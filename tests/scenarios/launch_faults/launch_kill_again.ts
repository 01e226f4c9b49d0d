import { delay, systemClock } from "../../../src/io/mod.ts";
import { LaunchLab, migrate, startGuest, STEPS, warmUp } from "../launch/lab/mod.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** How long the next try may take from its begin until it has asked the destination for its files, ms. */
const ASKED_MS = 8_000;

/** The next try begins while the destination still undoes the first one. */
export const scenario: Scenario = {
  name: "launch_kill_again",
  about: "a launch that begins right after a kill waits for the undo at the destination",
  timeoutMs: 240_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { destination } = lab;
    const guest = await startGuest(lab);
    const step = STEPS.copy;
    await warmUp(lab);
    await step.prepare(lab);
    const killed = migrate(lab, [], "killed");
    await step.reached(lab, killed);
    const qemu = (signal: string) =>
      destination.must("pkill", `-${signal}`, "-f", "^[^ ]*qemu-system.*-incoming");
    await qemu("STOP");
    killed.signal("SIGKILL");
    await assertExit(killed, 128 + 9);
    await step.restore(lab);
    const next = migrate(lab, [], "next");
    await next.waitEvent("phase", (e) => e.phase === "launch");
    await delay(systemClock, ASKED_MS);
    await qemu("CONT");
    await assertExit(next, 0);
    await guest.assertArrived();
  },
};
