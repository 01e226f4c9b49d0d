/**
 * Why commands of the user cannot start the QEMU of a launch. Changes nothing.
 *
 * @module
 */
import { MigrationError } from "../../../migrate/mod.ts";
import type { LaunchStart } from "../../../rpc/mod.ts";
import { placeRefusal, type Places } from "./allow.ts";
import type { Fault } from "./file_faults.ts";
import type { LaunchHost } from "../host.ts";
import type { LaunchTrust } from "../options.ts";
import type { SiteRecord } from "../record.ts";

const PERSIST = "--persist does not go with --start: what starts the guest there also starts it " +
  "at boot. Leave --persist out";

/**
 * Finds them.
 *
 * @param places has the QMP socket.
 */
export async function siteFaults(
  host: LaunchHost,
  trust: LaunchTrust,
  { qmp, persist }: LaunchStart,
  places: Places,
  site: SiteRecord,
): Promise<Fault[]> {
  const faults: Fault[] = [];
  if (persist) faults.push({ code: "host-unfit", message: PERSIST });
  const refusal = placeRefusal(trust, qmp, "socket", places);
  if (refusal !== undefined) {
    faults.push({ code: "launch-not-allowed", message: refusal });
    return faults;
  }
  try {
    await host.siteQemu({ ...site, qmp, begun: false }).assertAbsent();
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    faults.push({ code: error.code, message: error.message });
  }
  return faults;
}
