import { killIn } from "../launch/lab/kill.ts";
import type { Scenario } from "../support/scenario.ts";

/** vmferry dies at either end. */
export const scenario: Scenario = {
  name: "launch_kill_files",
  about: "after vmferry was killed while files are sent, at either end, the next try works",
  timeoutMs: 180_000,
  slow: true,
  run: (context) => killIn(context, "files"),
};
