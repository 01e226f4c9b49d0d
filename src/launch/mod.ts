/**
 * A launch: the destination builds the guest's machine and starts its QEMU.
 *
 * @module
 */
export type {
  ChangedOption,
  GuestImage,
  MachineDescription,
  MachineFacts,
  QemuProcess,
} from "./description.ts";
export { currentCommand } from "./describe/current_command.ts";
export { describeMachine, type DescribeOptions } from "./describe/describe.ts";
export type { LaunchHost, NewFile, SiteQemuControl, SiteQemuOf } from "./destination/host.ts";
export { LaunchDestination } from "./destination/launch.ts";
export { isKeptCommandOf, type LeftGuest, MOVED } from "./destination/moved.ts";
export { bootUnitName } from "./destination/names.ts";
export type { LaunchDestinationOptions, LaunchTrust, StartedQemu } from "./destination/options.ts";
export {
  type LaunchJournal,
  type LaunchRecord,
  parseLaunchRecord,
  type SiteRecord,
} from "./destination/record.ts";
export { type GuestWord, type LaunchEnd, settleLaunch } from "./destination/settle.ts";
export { commandsOf, type PlannedCommand } from "./plan/commands.ts";
export { mapPath, parsePathMap, type PathMap, unusedMaps } from "./plan/path_map.ts";
export type { LaunchPlan } from "./plan/plan.ts";
export { shellCommand, ShellWordError, splitWords } from "./plan/shell.ts";
export type { LaunchWishes } from "./plan/wishes.ts";
export { launchBy, type LaunchSourceOptions } from "./source/launch.ts";
export { describeSource, type MachineAccess } from "./source/machine.ts";
export { makePlan, type PlanOptions } from "./source/plan.ts";
export type { OpenFile } from "./source/send.ts";
