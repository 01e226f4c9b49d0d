/**
 * A client of QEMU's machine protocol (QMP), and queries built on it: disks, jobs, migration, the
 * machine.
 *
 * @module
 */
export { measureDirtyRate } from "./dirty_rate.ts";
export {
  discardCounts,
  type Disk,
  type DiskLook,
  FILTERS,
  listDisks,
  lookAtDisks,
  type WriteTime,
  writeTimes,
} from "./block.ts";
export {
  type BlockGraph,
  type BlockNode,
  queryBlockGraph,
  queryWrittenNodes,
} from "./block_graph.ts";
export { ONE_CLIENT, QmpClient } from "./client.ts";
export type * from "./answers.ts";
export type { Commands } from "./commands.ts";
export {
  QmpClosedError,
  QmpCommandError,
  type QmpEnd,
  QmpError,
  type QmpErrorCode,
  QmpTimeoutError,
} from "./errors.ts";
export { type JobInfo, queryBlockJobs, queryJobs } from "./jobs.ts";
export { describeMachine, type Machine } from "./machine.ts";
export type { QemuVersion, QmpEvent } from "./messages.ts";
export {
  MIGRATION_OVER,
  type MigrationEnd,
  type MigrationInfo,
  queryMigrate,
  waitMigration,
  type WaitMigrationOptions,
} from "./migration.ts";
export type { ExecuteOptions, OpenOptions } from "./options.ts";
export { parseQtree, type QtreeBus, type QtreeDevice } from "./qtree.ts";
export { parseNicQueues, parseRamBlocks, type RamBlock } from "./ram_blocks.ts";
export {
  MigrationSettings,
  type MigrationSettingsRecord,
  type WantedSettings,
} from "./migration_settings.ts";
export { type MultifdFeatures, queryMultifd } from "./multifd_features.ts";
export { hmp, optional } from "./optional.ts";
