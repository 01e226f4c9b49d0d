import { type Logger, messageOf } from "../../io/mod.ts";
import { type QmpClient, queryMigrate } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";

/** QEMU's words for disks that it could not inactivate: since about 10.1, and before. */
const NOT_INACTIVATED = /block inactivate failed|migration completion: bad address/i;

/**
 * The failure that QEMU's reason for the end of a migration stands for, if the source could not inactivate its
 * disks: it then ends the stream, and the destination reports only that.
 *
 * @param reason of `query-migrate`.
 */
export function notInactivated(reason: string): MigrationError | undefined {
  if (!NOT_INACTIVATED.test(reason)) return undefined;
  const message = `QEMU could not hand its disks over (${reason}): it failed to inactivate one`;
  return new MigrationError("failed", "disk-not-inactivated", "source", message);
}

/** Asks the source's QEMU whether this is why the destination did not load the guest. Never rejects. */
export async function askNotInactivated(
  qmp: QmpClient,
  log: Logger,
): Promise<MigrationError | undefined> {
  try {
    const { status, errorDesc } = await queryMigrate(qmp);
    return status === "failed" ? notInactivated(errorDesc ?? "") : undefined;
  } catch (error) {
    log.log("debug", `source: ${messageOf(error)}`);
    return undefined;
  }
}
