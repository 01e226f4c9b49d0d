import type { QmpClient } from "./client.ts";
import { QmpCommandError } from "./errors.ts";

/** The properties of a virtual machine that must fit the migrated state. */
export interface Machine {
  /** All zeros for a guest without one. */
  readonly uuid: string;
  /** As given by `-name`. */
  readonly name: string | undefined;
  /** QEMU's run state, such as `running`, `paused`, `inmigrate`. */
  readonly status: string;
  /** Machine type, such as `pc-q35-7.2`. */
  readonly machine: string;
  /** Present vCPUs. */
  readonly vcpus: number;
  /**
   * RAM from the start plus DIMMs, bytes. Without virtio-mem, whose size changes while the guest runs;
   * its RAM block must have the same size at both ends, which the comparison of RAM blocks checks.
   */
  readonly ramBytes: number;
}

/**
 * Asks QEMU for its machine; every command in use is older than QEMU 3.0.
 *
 * @throws as `QmpClient.execute`.
 */
export async function describeMachine(client: QmpClient): Promise<Machine> {
  const [uuid, name, status, type, cpus, memory, plugged] = await Promise.all([
    client.execute("query-uuid", {}),
    client.execute("query-name", {}),
    client.execute("query-status", {}),
    client.execute("qom-get", { path: "/machine", property: "type" }),
    client.execute("query-cpus-fast", {}),
    client.execute("query-memory-size-summary", {}),
    pluggedDimms(client),
  ]);
  return {
    uuid: uuid.UUID,
    name: name.name,
    status: status.status,
    machine: String(type).replace(/-machine$/, ""),
    vcpus: cpus.length,
    ramBytes: memory["base-memory"] + plugged,
  };
}

/** Types of `query-memory-devices` whose size is fixed while they are plugged. */
const DIMMS: readonly string[] = ["dimm", "nvdimm"];

/** Bytes of all DIMMs; 0 for a machine that supports none. */
async function pluggedDimms(client: QmpClient): Promise<number> {
  const devices = await client.execute("query-memory-devices", {}).catch((error) => {
    if (error instanceof QmpCommandError) return [];
    throw error;
  });
  return devices.filter(({ type }) => DIMMS.includes(type))
    .reduce((sum, { data }) => sum + data.size, 0);
}
