import { type QmpClient, queryMigrate } from "../../qmp/mod.ts";

/** Statuses in which no migration is under way that the mode would matter to. */
const AT_REST: readonly string[] = ["none", "completed", "failed", "cancelled"];

/**
 * Why QEMU would refuse to move the guest to another host, in its words. A QEMU with modes (8.2) lists only what
 * blocks the `mode` that is set, and somebody may have left one of CPR's: `normal` is set for the question,
 * as it will be for the crossing.
 */
export async function migrationBlockers(qmp: QmpClient): Promise<readonly string[]> {
  const { status, blockedReasons } = await queryMigrate(qmp);
  if (!AT_REST.includes(status)) return blockedReasons;
  const { mode } = await qmp.execute("query-migrate-parameters", {});
  if (mode === undefined || mode === "normal") return blockedReasons;
  await qmp.execute("migrate-set-parameters", { mode: "normal" });
  try {
    return (await queryMigrate(qmp)).blockedReasons;
  } finally {
    await qmp.execute("migrate-set-parameters", { mode });
  }
}
