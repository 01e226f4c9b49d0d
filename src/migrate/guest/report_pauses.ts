import type { QmpClient } from "../../qmp/mod.ts";
import type { Report } from "../events.ts";

/** Reports when the source's guest is paused and when it runs again, until the disposal. */
export function reportPauses(
  { qmp, report }: { readonly qmp: Pick<QmpClient, "onEvent">; readonly report: Report },
): Disposable {
  let isPaused = false;
  const stop = qmp.onEvent(({ event }) => {
    if (event !== "STOP" && event !== "RESUME" || isPaused === (event === "STOP")) return;
    isPaused = event === "STOP";
    report({ event: "guest", state: isPaused ? "paused" : "running", side: "source" });
  });
  return { [Symbol.dispose]: stop };
}
