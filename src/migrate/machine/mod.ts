/**
 * The machine that a guest runs on: what each end's QEMU has, how the two differ, and what changes while
 * the guest is on its way.
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
