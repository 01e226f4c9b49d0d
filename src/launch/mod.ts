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
export type { LaunchHost, NewFile } from "./destination/host.ts";
export { LaunchDestination } from "./destination/launch.ts";
export type { LaunchDestinationOptions, LaunchTrust, StartedQemu } from "./destination/options.ts";
export { type LaunchJournal, type LaunchRecord, parseLaunchRecord } from "./destination/record.ts";
