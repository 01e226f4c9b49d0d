import type { QmpClient } from "./client.ts";

/** What makes one virtual machine fit another's state. */
export interface Machine {
  readonly uuid: string;
  readonly name: string | undefined;
  /** QEMU's run state, such as `running`, `paused`, `inmigrate`. */
  readonly status: string;
  /** Machine type, such as `pc-q35-7.2`. */
  readonly machine: string;
  readonly vcpus: number;
  /** All of its memory, bytes. */
  readonly ramBytes: number;
}

/** Asks QEMU what machine it is. */
export async function describeMachine(client: QmpClient): Promise<Machine> {
  const [uuid, name, status, type, cpus, memory] = await Promise.all([
    client.execute("query-uuid", {}),
    client.execute("query-name", {}),
    client.execute("query-status", {}),
    client.execute("qom-get", { path: "/machine", property: "type" }),
    client.execute("query-cpus-fast", {}),
    client.execute("query-memory-size-summary", {}),
  ]);
  return {
    uuid: uuid.UUID,
    name: name.name,
    status: status.status,
    machine: String(type).replace(/-machine$/, ""),
    vcpus: cpus.length,
    ramBytes: memory["base-memory"] + (memory["plugged-memory"] ?? 0),
  };
}
