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

/** Most names that are tried. */
const TRIES = 100;

/** A log file and the file beside it that names the process. */
export async function chooseLog(
  { run, logDir }: LaunchHost,
  name: string,
): Promise<{ readonly log: string; readonly pidFile: string }> {
  for (const each of candidates(name)) {
    const paths = [`${logDir}/${each}.log`, `${logDir}/${each}.pid`];
    const looks = await lookAt(run, paths);
    if (looks.every(({ state }) => state === "missing")) {
      return { log: paths[0]!, pidFile: paths[1]! };
    }
  }
  throw full(`Remove old logs from ${logDir}`);
}

/** A unit that systemd does not know. */
export async function chooseUnit({ run, user }: LaunchHost, name: string): Promise<UnitRecord> {
  const scope = user.uid === 0 ? "system" : "user";
  for (const each of candidates(name)) {
    const unit = { name: unitName(each), scope } as const;
    if ((await showUnit(run, unit))["LoadState"] === "not-found") return unit;
  }
  throw full(`Remove old units vmferry-${name}-*`);
}

function* candidates(name: string): Generator<string> {
  yield name;
  for (let n = 2; n <= TRIES; n++) yield `${name}-${n}`;
}

function full(advice: string): MigrationError {
  const message = `${TRIES} names for this guest are taken. ${advice} at the destination`;
  return new MigrationError("refused", "host-unfit", "destination", message);
}
