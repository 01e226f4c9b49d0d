import type { MigrationEvent } from "../../migrate/mod.ts";
import { formatSeconds, formatSize } from "../args/size.ts";

const TIMEOUTS = {
  abort: "undo everything",
  pause: "pause the guest for the rest",
  postcopy: "run the guest at the destination before all of its RAM is there",
} as const;

const AUTO_CONVERGE = {
  true: "the guest is throttled if its RAM does not converge",
  false: "the guest is not throttled",
} as const;
const POSTCOPY = { now: "post-copy has begun", never: "no post-copy" } as const;

/** The limits of a migration, for people: `bandwidth: no limit; downtime: at most 300 ms`. */
export function limitsWords(limits: MigrationEvent & { readonly event: "limits" }): string {
  const { bandwidth, maxDowntimeMs, pause, timeoutMs = null, timeoutAction } = limits;
  const { autoConverge, postcopy } = limits;
  const rate = bandwidth === null ? "no limit" : `at most ${formatSize(bandwidth)}/s`;
  return [
    `bandwidth: ${rate}`,
    // A copy has none.
    ...(maxDowntimeMs ? [`downtime: at most ${maxDowntimeMs} ms`] : []),
    ...(pause ? ["the guest is paused as soon as its disks have been copied once"] : []),
    ...(autoConverge === undefined ? [] : [AUTO_CONVERGE[`${autoConverge}`]]),
    ...(postcopy === undefined ? [] : [POSTCOPY[postcopy]]),
    ...(timeoutMs === null
      ? []
      : [`in ${formatSeconds(timeoutMs / 1000)}: ${TIMEOUTS[timeoutAction ?? "abort"]}`]),
  ].join("; ");
}
