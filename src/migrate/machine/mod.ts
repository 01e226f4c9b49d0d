/**
 * The machine that a guest runs on: the inventory of each side's QEMU, the differences between them, and
 * changes during the migration.
 *
 * @module
 */
export { staysBehindIn } from "./compare.ts";
export { MachineDescriber } from "./describe.ts";
export { MachineGuard, type MachineGuardContext } from "./guard.ts";
export { cpuFeatures, takeInventory } from "./inventory.ts";
export {
  ALLOWABLE,
  type Difference,
  judge,
  type Judgement,
  type RuleName,
  RULES,
  type Severity,
} from "./rules.ts";
export { compareWith, NOT_COMPARED, worded } from "./settle.ts";
export { MachineWatch, type MachineWatchContext } from "./watch.ts";
