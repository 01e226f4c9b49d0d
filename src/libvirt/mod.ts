/**
 * The programs and formats of libvirt that a migration needs. Pure but for the programs, which are
 * injected.
 *
 * @module
 */
export {
  type AskOptions,
  clientVersion,
  libvirtText,
  Virsh,
  VirshError,
  virshFailure,
  type VirshOptions,
} from "./virsh.ts";
export { RememberingVirsh } from "./remembered.ts";
export {
  type BlockJob,
  blockJob,
  type DomainRunState,
  domainState,
  findDomain,
  jobInfo,
  listDomains,
  type ListedDomain,
} from "./domains.ts";
export {
  type HostVersion,
  hostVersion,
  isAtLeast,
  type Network,
  networks,
  OLDEST_LIBVIRT,
  parseHostVersion,
  type Pool,
  pools,
  volumePath,
} from "./host.ts";
export { type JobInfo, type JobType, parseJobInfo, parseRawJobInfo } from "./job_info.ts";
export {
  type BackingImage,
  type Domain,
  type DomainDisk,
  type DomainNetwork,
  type OsFile,
  parseDomain,
} from "./domain_xml.ts";
export { type Capabilities, type Owner, ownerOf, parseCapabilities } from "./capabilities.ts";
export { parsePool, type PoolXml } from "./pool_xml.ts";
export { type NewVolume, volumeXml } from "./volume_xml.ts";
export {
  DEFAULT_URI,
  type LibvirtUri,
  LibvirtUriError,
  type LibvirtUser,
  parseLibvirtUri,
  socketCandidates,
  uriWithSocket,
} from "./uri.ts";
export { MigrateOptionError, type MigrateOptions, parseMigrateOptions } from "./migrate_options.ts";
export { type Element, escapeXml, parseElement, scaledBytes, XmlFormatError } from "./xml.ts";
export {
  KEEPALIVE_PROGRAM,
  type MessageHead,
  MessageSplitter,
  PING,
  PONG,
  pong,
  REMOTE_PROGRAM,
} from "./messages.ts";
