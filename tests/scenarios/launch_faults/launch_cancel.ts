import { cancelIn } from "../launch/lab/cancel.ts";
import type { Scenario } from "../support/scenario.ts";

/** Ctrl-C at the source. */
export const scenario: Scenario = {
  name: "launch_cancel",
  about:
    "after Ctrl-C before the build, while files are sent and while QEMU starts both hosts are as before, and the next try works",
  timeoutMs: 180_000,
  slow: true,
  run: (context) => cancelIn(context, ["plan", "files", "start"]),
};
