/**
 * The options of `virsh migrate` (libvirt 9.0 and later ones) and what vmferry does with each.
 *
 * @module
 */

/** What vmferry does with an option. */
export interface OptionRule {
  /** A value follows. */
  readonly value?: true;
  /** vmferry refuses it, for this reason: the second half of a message. */
  readonly refused?: string;
  /** vmferry sets it by itself, so it is not passed on again. */
  readonly own?: true;
}

const CONNECTIONS = "vmferry names the sockets of the connection by itself";
const PEERS = "the two libvirt daemons would connect by themselves, past vmferry's connection";
const TIMEOUT =
  "use vmferry's own --timeout and --timeout-action, which also cover the time of the disks";

const OPTIONS: Readonly<Record<string, OptionRule>> = {
  // Set by vmferry.
  "live": { own: true },
  "verbose": { own: true },
  "copy-storage-all": { own: true },
  "copy-storage-inc": { own: true },
  "migrate-disks": { own: true, value: true },

  // Refused.
  "domain": { value: true, refused: "the domain is vmferry's own first argument" },
  "desturi": { value: true, refused: CONNECTIONS },
  "migrateuri": { value: true, refused: CONNECTIONS },
  "disks-uri": { value: true, refused: CONNECTIONS },
  "disks-port": { value: true, refused: CONNECTIONS },
  "listen-address": { value: true, refused: CONNECTIONS },
  "p2p": { refused: PEERS },
  "direct": { refused: PEERS },
  "tunnelled": {
    refused: "libvirt's own tunnel copies no disks; vmferry's connection replaces it",
  },
  "tunneled": { refused: "libvirt's own tunnel copies no disks; vmferry's connection replaces it" },
  "offline": {
    refused:
      "it moves the definition of a domain that is shut off, without disks or RAM; use virsh dumpxml and virsh define",
  },
  "postcopy-resume": {
    refused:
      "vmferry cannot connect to a migration that is under way; docs/libvirt.md has the commands",
  },
  "rdma-pin-all": { refused: "RDMA does not go through vmferry's connection" },
  "zerocopy": { refused: "QEMU has zero-copy over TCP only, and vmferry gives it a UNIX socket" },
  "bandwidth": {
    value: true,
    refused: "use vmferry's own --bandwidth, which limits disks and RAM together",
  },
  "timeout": { value: true, refused: TIMEOUT },
  "timeout-suspend": { refused: TIMEOUT },
  "timeout-postcopy": {
    refused: "use --postcopy with --postcopy-after-precopy, which needs no time limit",
  },

  // Passed on.
  "persistent": {},
  "undefinesource": {},
  "suspend": {},
  "copy-storage-synchronous-writes": {},
  "change-protection": {},
  "unsafe": {},
  "abort-on-error": {},
  "postcopy": {},
  "postcopy-after-precopy": {},
  "postcopy-bandwidth": { value: true },
  "parallel": {},
  "parallel-connections": { value: true },
  "auto-converge": {},
  "auto-converge-initial": { value: true },
  "auto-converge-increment": { value: true },
  "compressed": {},
  "comp-methods": { value: true },
  "comp-mt-level": { value: true },
  "comp-mt-threads": { value: true },
  "comp-mt-dthreads": { value: true },
  "comp-xbzrle-cache": { value: true },
  "comp-zlib-level": { value: true },
  "comp-zstd-level": { value: true },
  "tls": {},
  "tls-destination": { value: true },
  "graphicsuri": { value: true },
  "dname": { value: true },
  "xml": { value: true },
  "persistent-xml": { value: true },
  "migrate-disks-detect-zeroes": { value: true },
  "available-switchover-bandwidth": { value: true },
};

/** The rules by name, without the dashes. */
export const MIGRATE_OPTIONS: ReadonlyMap<string, OptionRule> = new Map(Object.entries(OPTIONS));
