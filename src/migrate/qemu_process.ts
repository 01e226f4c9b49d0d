import type { QmpClient } from "../qmp/mod.ts";

/**
 * Identifies a QEMU process among those that had the same QMP socket: by the thread id of its first vCPU
 * (`query-cpus-fast`, QEMU 2.12). `null` where QEMU does not report it. Never rejects.
 */
export async function qemuProcess(qmp: QmpClient): Promise<string | null> {
  const cpus = await qmp.executeUntyped("query-cpus-fast").catch(() => undefined);
  const id = Array.isArray(cpus) ? cpus[0]?.["thread-id"] : undefined;
  return typeof id === "number" ? String(id) : null;
}
