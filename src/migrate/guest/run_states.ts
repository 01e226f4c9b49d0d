/**
 * The meaning of QEMU's run states (`query-status`) for a migration. Pure.
 *
 * @module
 */
import type { QmpClient } from "../../qmp/mod.ts";
import type { Report } from "../events.ts";
import { AFTER_HANDOVER } from "../handover/states.ts";
import type { SourceRecord } from "../journal.ts";

/** Whether a guest runs for its owner: a guest that sleeps (S3, `suspended`) wakes by itself. */
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

/** Warns of a guest that was started at the destination and no longer runs. */
export function warnIfStands(status: string, report: Report): void {
  if (runs(status)) return;
  const message =
    `The guest was started at the destination and no longer runs: its state is "${status}". ` +
    "Look at its QEMU there";
  report({ event: "warning", code: "guest-stands", message });
}

/** QEMU's version as the peers exchange it, such as `9.0.2`. */
export function versionOf({ version }: Pick<QmpClient, "version">): string {
  return `${version.major}.${version.minor}.${version.micro}`;
}

/** Whether a guest that sleeps (S3) survives a migration by this QEMU: before 9.0 it would never wake. */
export function carriesAsleep(version: string): boolean {
  return Number.parseInt(version) >= 9;
}

/**
 * Whether a guest must run at the end of a migration that an earlier process has begun. Its owner may
 * have paused or resumed it while no vmferry was watching.
 */
export function isToRun(status: string, record: SourceRecord): boolean {
  if (runs(status)) return true;
  // vmferry writes to the journal before it pauses a guest; QEMU's migration leaves other states. After the
  // handover it pauses a guest that QEMU resumes by itself.
  const isOurs = record.stopped !== "no" || AFTER_HANDOVER.includes(record.state);
  if (status === "paused" && !isOurs) return false;
  return record.wasRunning;
}
