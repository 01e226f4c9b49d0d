/**
 * The migration of a libvirt domain.
 *
 * @module
 */
export { checkDomain } from "./check/check_domain.ts";
export { domainRefusal, type Findings, type Problem } from "./check/findings.ts";
export type {
  CheckDomainOptions,
  CheckedDisk,
  DomainCheck,
  DomainFactsPeer,
  DomainPlan,
  FileReader,
} from "./check/options.ts";
export { DomainPeer } from "./source/destination_peer.ts";
export { DomainMigration } from "./source/migration.ts";
export type { DomainMigrated, DomainMigrationOptions, DomainSourceHost } from "./source/options.ts";
export { unsettledAdvice } from "./source/settle/outcome.ts";
export type { CheckAccess, CheckSource, SourcePlan } from "./source/plan.ts";
export { type DomainSourceRecord, parseDomainSourceRecord } from "./source/record.ts";
export { isSocketDir } from "./source/socket_dir.ts";
export { describeDomainHost } from "./destination/describe_host.ts";
export { settleEarlier } from "./destination/earlier.ts";
export { hasRun } from "./destination/has_run.ts";
export type { DestinationHost } from "./destination/host.ts";
export { DomainDestination } from "./destination/migration.ts";
export type { DomainDestinationOptions, OtherMigrations } from "./destination/options.ts";
export { type DomainJournal, type DomainRecord, parseDomainRecord } from "./destination/record.ts";
