/**
 * Names that nothing on this host has yet: an earlier launch of the guest may have left a log or a unit.
 *
 * @module
 */
import { lookAt } from "../../../host/mod.ts";
import { MigrationError } from "../../../migrate/mod.ts";
import type { LaunchHost } from "../host.ts";
import { unitName } from "../names.ts";
import { showUnit } from "../qemu/qemu.ts";
import type { UnitRecord } from "../record.ts";

/** A log file and the file beside it that names the process. */
export async function chooseLog(
  { run, logDir }: LaunchHost,
  name: string,
  migration: string,
): Promise<{ readonly log: string; readonly pidFile: string }> {
  for (const each of candidates(name, migration)) {
    const paths = [`${logDir}/${each}.log`, `${logDir}/${each}.pid`];
    const looks = await lookAt(run, paths);
    if (looks.every(({ state }) => state === "missing")) {
      return { log: paths[0]!, pidFile: paths[1]! };
    }
  }
  throw full(`Remove old logs from ${logDir}`);
}

/** A unit that systemd does not know. */
export async function chooseUnit(
  { run, user }: LaunchHost,
  name: string,
  migration: string,
): Promise<UnitRecord> {
  const scope = user.uid === 0 ? "system" : "user";
  for (const each of candidates(name, migration)) {
    const unit = { name: unitName(each), scope } as const;
    if ((await showUnit(run, unit))["LoadState"] === "not-found") return unit;
  }
  throw full(`Remove old units vmferry-${name}-*`);
}

/** The second one is this migration's own. */
function candidates(name: string, migration: string): string[] {
  return [name, `${name}-${migration.replace(/[^A-Za-z0-9]/g, "").slice(0, 8)}`];
}

function full(advice: string): MigrationError {
  const message = `The names for this guest are taken. ${advice} at the destination`;
  return new MigrationError("refused", "host-unfit", "destination", message);
}
