/**
 * Every migration capability and parameter of QEMU 7.2, 10.0 and 11.1, and what a migration does with a
 * value that somebody has left. The source of a table in docs/qemu.md.
 *
 * @module
 */
import type { Side } from "./events.ts";

/** What a migration does with one setting. */
export interface SettingRow {
  /** Value for the crossing, at both ends or at `side`; without it, the setting is left as it is. */
  readonly crossing?: boolean | number | string;
  /** The only side where `crossing` is set. */
  readonly side?: Side;
  /** The migration's own limits or options decide the value, as text for the docs. */
  readonly decided?: string;
  /** The effect of a value that somebody has left, or why it has none. */
  readonly why: string;
  /** First QEMU version that has it, if later than 6.2. */
  readonly since?: string;
  /** First QEMU version that lacks it. */
  readonly until?: string;
}

const OTHER_FORMAT = "more than one connection, or another format of the stream";
const THROTTLE = "auto-converge would begin with a throttle that vmferry does not report";
const DIRTY_LIMIT = "dirty-limit would slow the guest to a rate that vmferry does not report";
const BLOCK = "only the old block migration reads it, which is off";
const COMPRESS = "only the old compression reads it, which is off";
const ANNOUNCE =
  "how the destination announces the guest to its network: the administrator's choice";
const LEVEL = "CPU time for a compression that the other end does not expect to be slow";
const RDMA = "only RDMA reads it, and vmferry's sockets are UNIX sockets";

/** The capabilities (`migrate-set-capabilities`), by QEMU's names. */
export const CAPABILITIES: Readonly<Record<string, SettingRow>> = {
  "auto-converge": {
    crossing: false,
    decided: "on for the ladder; `--no-auto-converge`: off",
    why: "vmferry throttles the guest by parameters and reports it",
  },
  "background-snapshot": { crossing: false, why: "a snapshot, not a move of the guest" },
  "block": {
    crossing: false,
    until: "9.1",
    why: "copies disks in the stream; the destination's QEMU has other nodes",
  },
  "compress": { crossing: false, until: "9.1", why: OTHER_FORMAT },
  "dirty-bitmaps": {
    crossing: false,
    why: "a bitmap of a node that the destination does not have ends its QEMU",
  },
  "dirty-limit": {
    crossing: false,
    decided: "off, or `--dirty-limit`",
    since: "8.1",
    why: "slows the guest down, without a word of vmferry's",
  },
  "events": { crossing: true, why: "vmferry waits for QEMU's events" },
  "late-block-activate": {
    crossing: true,
    why: "without it QEMU would lock the disks before `finish` allows the guest to run",
  },
  "mapped-ram": { crossing: false, since: "9.0", why: OTHER_FORMAT },
  "multifd": { crossing: false, decided: "off, or `--multifd`", why: OTHER_FORMAT },
  "pause-before-switchover": {
    crossing: true,
    side: "source",
    why: "the mirrors end while the guest is paused and the disks are still the source's",
  },
  "postcopy-blocktime": {
    crossing: false,
    why: "an end without post-copy refuses the stream",
  },
  "postcopy-preempt": { crossing: false, since: "7.1", why: OTHER_FORMAT },
  "postcopy-ram": {
    crossing: false,
    decided: "off, or `--postcopy`",
    why: "a destination without post-copy refuses the stream",
  },
  "rdma-pin-all": { why: RDMA },
  "release-ram": {
    crossing: false,
    why: "frees RAM that was sent: the guest could not resume at the source",
  },
  "return-path": {
    why:
      "QEMU completes only when the destination has loaded the guest, which does no harm; on for a " +
      "guest in S3",
  },
  "switchover-ack": {
    crossing: false,
    since: "8.1",
    why: "RAM passes never end: only a destination with it sends the acknowledgement",
  },
  "validate-uuid": {
    why: "a destination with another UUID refuses the stream, as vmferry's comparison does earlier",
  },
  "x-colo": { crossing: false, why: "a migration that never ends" },
  "x-ignore-shared": { crossing: false, why: "shared RAM would not cross" },
  "xbzrle": {
    crossing: false,
    decided: "off, or `--xbzrle`",
    why: "CPU time and a cache of RAM at the source; does not go together with multifd",
  },
  "zero-blocks": { until: "11.1", why: BLOCK },
  "zero-copy-send": { crossing: false, since: "7.1", why: OTHER_FORMAT },
};

/** The parameters (`migrate-set-parameters`), by QEMU's names and in its units. */
export const PARAMETERS: Readonly<Record<string, SettingRow>> = {
  "announce-initial": { why: ANNOUNCE },
  "announce-max": { why: ANNOUNCE },
  "announce-rounds": { why: ANNOUNCE },
  "announce-step": { why: ANNOUNCE },
  "avail-switchover-bandwidth": {
    crossing: 0,
    since: "8.2",
    why:
      "replaces QEMU's measurement: a low value never ends, a high one pauses the guest too early",
  },
  "block-bitmap-mapping": {
    why: "only `dirty-bitmaps` reads it, which is off; QEMU cannot unset it again",
  },
  "block-incremental": { until: "9.1", why: BLOCK },
  "compress-level": { until: "9.1", why: COMPRESS },
  "compress-threads": { until: "9.1", why: COMPRESS },
  "compress-wait-thread": { until: "9.1", why: COMPRESS },
  "cpr-exec-command": { since: "10.2", why: "only `mode=cpr-exec` reads it" },
  "cpu-throttle-increment": { crossing: 10, decided: "`10`; for the ladder `99`", why: THROTTLE },
  "cpu-throttle-initial": {
    crossing: 20,
    decided: "`20`; for the ladder `1`, then its step",
    why: THROTTLE,
  },
  "cpu-throttle-tailslow": { crossing: false, why: THROTTLE },
  "decompress-threads": { until: "9.1", why: COMPRESS },
  "direct-io": { since: "9.1", why: "only migrations to a file read it" },
  "downtime-limit": {
    decided: "the source: steps up to `--max-downtime`",
    why: "a longer pause than the user allows, or passes without an end",
  },
  "max-bandwidth": {
    decided: "the source: `--bandwidth`, or no limit",
    why: "RAM would cross at another rate than the user allows",
  },
  "max-cpu-throttle": {
    crossing: 99,
    decided: "`99`; for the ladder `1`, then its step",
    why: THROTTLE,
  },
  "max-postcopy-bandwidth": {
    crossing: 0,
    why: "post-copy would be slower than the connection",
  },
  "mode": {
    crossing: "normal",
    since: "8.2",
    why:
      "in a mode of CPR the guest's RAM stays on its host, and QEMU ends or runs another program",
  },
  "multifd-channels": {
    decided: "`--multifd`, else left",
    why: "read only with `multifd`",
  },
  "multifd-compression": {
    crossing: "none",
    decided: "`none`, or `--multifd-compression`",
    why: "both ends must have the same",
  },
  "multifd-qatzip-level": { crossing: 1, since: "9.2", why: LEVEL },
  "multifd-zlib-level": { crossing: 1, why: LEVEL },
  "multifd-zstd-level": { crossing: 1, why: LEVEL },
  "throttle-trigger-threshold": { crossing: 50, why: THROTTLE },
  "tls-authz": { why: "read only with `tls-creds`" },
  "tls-creds": {
    crossing: "",
    why: "TLS by QEMU inside the tunnel, which the other end does not expect",
  },
  "tls-hostname": { why: "read only with `tls-creds`" },
  "vcpu-dirty-limit": { crossing: 1, since: "8.1", why: DIRTY_LIMIT },
  "x-checkpoint-delay": { why: "only COLO reads it, which is off" },
  "x-rdma-chunk-size": { since: "11.1", why: RDMA },
  "x-vcpu-dirty-limit-period": { crossing: 1000, since: "8.1", why: DIRTY_LIMIT },
  "xbzrle-cache-size": { decided: "`--xbzrle-cache`, else left", why: "read only with `xbzrle`" },
  "zero-page-detection": {
    decided:
      "the source: `legacy` instead of `none`; with `--multifd` `multifd`, if both QEMUs have it",
    since: "9.0",
    why:
      "with `none` all pages of zeroes cross in full; the others are QEMU's choice for a machine type",
  },
};
