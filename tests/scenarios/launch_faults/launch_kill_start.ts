import { killIn } from "../launch/lab/kill.ts";
import type { Scenario } from "../support/scenario.ts";

/** vmferry dies at either end. */
export const scenario: Scenario = {
  name: "launch_kill_start",
  about: "after vmferry was killed while QEMU starts, at either end, the next try works",
  timeoutMs: 180_000,
  long: true,
  run: (context) => killIn(context, "start"),
};
