/**
 * What QEMU's run states mean for a migration.
 *
 * @module
 */
import type { QmpClient } from "../../qmp/mod.ts";
import type { Report } from "../events.ts";
import type { SourceRecord } from "../journal.ts";

/** Whether a guest runs, as far as its owner goes: one that sleeps (S3) wakes by itself. */
export function runs(status: string): boolean {
  return status === "running" || status === "suspended";
}

/** QEMU's run state, such as `running`; `undefined` when QEMU does not answer. */
export async function guestStatus(qmp: QmpClient): Promise<string | undefined> {
  try {
    return (await qmp.execute("query-status", {})).status;
  } catch {
    return undefined;
  }
}

/** Tells of a guest that has run at the destination and stands again, for a reason of its own. */
export function warnIfStands(status: string, report: Report): void {
  if (runs(status)) return;
  const message =
    `The guest was started at the destination and stands again: QEMU says "${status}"`;
  report({ event: "warning", code: "guest-stands", message });
}

/** A QEMU's version as the other end is told it, such as `9.0.2`. */
export function versionOf({ version }: Pick<QmpClient, "version">): string {
  return `${version.major}.${version.minor}.${version.micro}`;
}

/** Whether a QEMU of this version carries a guest over that sleeps; before, it would never wake again. */
export function carriesAsleep(version: string): boolean {
  return Number.parseInt(version) >= 9;
}

/**
 * Whether a guest is to run when a migration is over that another process has begun: somebody may have
 * paused it or let it run while no tool was there to see it.
 */
export function isToRun(status: string, record: SourceRecord): boolean {
  if (runs(status)) return true;
  // What of ours stops it so is written down before; QEMU's own migration stops it in other states.
  if (status === "paused" && record.stopped === "no") return false;
  return record.wasRunning;
}
