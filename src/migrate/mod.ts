/**
 * The migration itself: what each end does, in which order, and how it is undone.
 *
 * @module
 */
export {
  checkDestination,
  checkMigration,
  type CheckOptions,
  type CheckResult,
  type Problem,
} from "./check.ts";
export { DeltaFilter, NO_DELTA_THERE } from "./delta/mod.ts";
export { ExportReaders } from "./destination/export_readers.ts";
export { DestinationMigration } from "./destination/migration.ts";
export type { DestinationOptions } from "./destination/options.ts";
export type { DestinationState } from "./handover/states.ts";
export { DestinationPeer } from "./source/destination_peer.ts";
export { adviceOn } from "./advice.ts";
export { type CodedProblem, Collected, type Findings, refusalOf } from "./findings.ts";
export { type ErrorCode, ERRORS, type FailureKind, isErrorCode } from "./error_table.ts";
export { openConnections } from "./session/connections.ts";
export { asMigrationError, codeFromPeer, MigrationError, needsRecord } from "./errors.ts";
export { type WarningCode, WARNINGS } from "./warning_table.ts";
export { introduce, type OwnIntroduction, reportPeer } from "./session/introduce.ts";
export { compressionOf, sourceLeft, TOO_LATE } from "./events.ts";
export type {
  Connections,
  DiskProgress,
  LadderStep,
  MigrationEvent,
  Outcome,
  Phase,
  RamProgress,
  Report,
  ReportedError,
  Side,
  VerifiedDisk,
} from "./events.ts";
export {
  type DestinationRecord,
  type JournalRecord,
  type JournalStore,
  parseRecord,
  type SourceRecord,
} from "./journal.ts";
export type { LastWords } from "./last_words.ts";
export { ALLOWABLE, type Difference, type RuleName, RULES, type Severity } from "./machine/mod.ts";
export { type LimitChange, Limits } from "./limits.ts";
export type { AutoConverge, CopyMode, PostcopyChoice, RamChoices } from "./ram_choices.ts";
export { type LadderChange, LadderError } from "./progress/ladder_steps.ts";
export type { DiskChoice } from "./disks/plan.ts";
export {
  isLeft,
  isOpen,
  type QemuFacts,
  qemuFacts,
  recover,
  type RecoverOptions,
  recoverVerdict,
  undoPreparing,
} from "./handover/recover.ts";
export { CHANNELS, COMPRESSIONS } from "./multifd.ts";
export { SourceMigration } from "./source/migration.ts";
export type { Arrange, Migrated, SourceOptions } from "./source/options.ts";
export type { BlockFacts, DescribeHost, FileFacts, HostFacts } from "./storage/host_facts.ts";
export type { HostAccess, Processes, RunDir } from "./storage/access.ts";
export { removeComparison } from "./storage/left_exports.ts";
export type { Verdict } from "./handover/verdict.ts";
export { fileKeys, type StorageKey, type StorageKeys } from "./storage/file_keys.ts";
export { isSame } from "./storage/same.ts";
export { BLOCK_BYTES, takeSample } from "./storage/sample.ts";
export { type Patience, patience } from "./timeouts.ts";
export { UndoList } from "./undo.ts";
