import { cancelThere } from "../launch/lab/cancel.ts";
import type { Scenario } from "../support/scenario.ts";

/** The destination does not want the guest any more. */
export const scenario: Scenario = {
  name: "launch_cancel_there",
  about:
    "after a cancel at the destination while disks are copied both hosts are as before, and the next try works",
  timeoutMs: 480_000,
  long: true,
  run: (context) => cancelThere(context, "copy"),
};
