import { cancelIn } from "../launch/lab/cancel.ts";
import type { Scenario } from "../support/scenario.ts";

/** Ctrl-C at the source. */
export const scenario: Scenario = {
  name: "launch_cancel_copy",
  about:
    "after Ctrl-C while disks and while RAM are copied both hosts are as before, and the next try works",
  timeoutMs: 180_000,
  long: true,
  run: (context) => cancelIn(context, ["copy", "ram"]),
};
