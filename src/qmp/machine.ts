import type { QmpClient } from "./client.ts";
import { QmpCommandError } from "./errors.ts";

/** What makes one virtual machine fit another's state. */
export interface Machine {
  readonly uuid: string;
  readonly name: string | undefined;
  /** QEMU's run state, such as `running`, `paused`, `inmigrate`. */
  readonly status: string;
  /** Machine type, such as `pc-q35-7.2`. */
  readonly machine: string;
  readonly vcpus: number;
  /**
   * Its RAM, bytes: what it has from the start and its DIMMs. Without virtio-mem, whose size the guest
   * changes while it runs: the size of its RAM block is what must be the same at both ends.
   */
  readonly ramBytes: number;
}

/** Asks QEMU what machine it is. */
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

/** Types of `query-memory-devices` whose memory has one size as long as they are plugged. */
const DIMMS: readonly string[] = ["dimm", "nvdimm"];

/** Bytes of all DIMMs; 0 where the machine takes none. */
async function pluggedDimms(client: QmpClient): Promise<number> {
  const devices = await client.execute("query-memory-devices", {}).catch((error) => {
    if (error instanceof QmpCommandError) return [];
    throw error;
  });
  return devices.filter(({ type }) => DIMMS.includes(type))
    .reduce((sum, { data }) => sum + data.size, 0);
}
