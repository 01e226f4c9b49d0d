import type { QmpClient } from "../qmp/mod.ts";

/**
 * What names the process of a QEMU among those that had the same QMP socket: the id of its first vCPU's thread
 * (`query-cpus-fast`, QEMU 2.12). `null` where it does not tell.
 */
export async function qemuProcess(qmp: QmpClient): Promise<string | null> {
  const cpus = await qmp.executeUntyped("query-cpus-fast").catch(() => undefined);
  const id = Array.isArray(cpus) ? cpus[0]?.["thread-id"] : undefined;
  return typeof id === "number" ? String(id) : null;
}
