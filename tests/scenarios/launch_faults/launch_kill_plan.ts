import { killIn } from "../launch/lab/kill.ts";
import type { Scenario } from "../support/scenario.ts";

/** vmferry dies at either end. */
export const scenario: Scenario = {
  name: "launch_kill_plan",
  about: "after vmferry was killed before anything is created, at either end, the next try works",
  timeoutMs: 180_000,
  long: true,
  run: (context) => killIn(context, "plan"),
};
