import { MIGRATION_OVER, optional, type QmpClient, queryMigrate } from "../../qmp/mod.ts";

/**
 * Why QEMU would refuse to move the guest to another host, in its words. A QEMU with modes (8.2) lists only what
 * blocks the `mode` that is set, and somebody may have left one of CPR's: `normal` is set for the question,
 * as it will be for the crossing.
 */
export async function migrationBlockers(qmp: QmpClient): Promise<readonly string[]> {
  const { status, blockedReasons } = await queryMigrate(qmp);
  if (!MIGRATION_OVER.includes(status)) return blockedReasons;
  const { mode } = await qmp.execute("query-migrate-parameters", {});
  if (mode === undefined || mode === "normal") return blockedReasons;
  // QEMU refuses every parameter while mapped-ram forbids the value of another one. The crossing switches it off.
  const set = await optional(qmp.execute("migrate-set-parameters", { mode: "normal" }));
  if (set === undefined) return blockedReasons;
  try {
    return (await queryMigrate(qmp)).blockedReasons;
  } finally {
    await qmp.execute("migrate-set-parameters", { mode });
  }
}
