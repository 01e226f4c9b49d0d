/**
 * The QMP commands that are used, with the members of their arguments and answers that are used.
 * Source: QEMU's QMP reference (qapi/*.json). Sizes in bytes unless QEMU says otherwise.
 *
 * @module
 */

type Empty = Record<never, never>;

/** An entry of `query-jobs` (JobInfo). */
export interface RawJob {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly "current-progress": number;
  readonly "total-progress": number;
  readonly error?: string;
}

/** An entry of `query-block-jobs` (BlockJobInfo). */
export interface RawBlockJob {
  readonly device: string;
  readonly type: string;
  readonly len: number;
  readonly offset: number;
  readonly ready: boolean;
  readonly status: string;
  /** `failed` or `nospace` once an error has made it stand, until it is resumed. */
  readonly "io-status": string;
}

/** An entry of `query-block` (BlockInfo). */
export interface RawBlock {
  readonly device: string;
  readonly qdev?: string;
  /** `failed` or `nospace` once an error has stopped the guest, until it is continued. */
  readonly "io-status"?: string;
  readonly inserted?: {
    readonly "node-name"?: string;
    readonly ro: boolean;
    readonly drv: string;
    readonly file: string;
    readonly image: {
      readonly "virtual-size": number;
      /** Internal snapshots. */
      readonly snapshots?: readonly { readonly name: string }[];
    };
    readonly "dirty-bitmaps"?: readonly { readonly name?: string; readonly persistent?: boolean }[];
  };
}

/** An entry of `query-named-block-nodes` (BlockDeviceInfo). */
export interface RawNode {
  readonly "node-name": string;
  /** Its block driver, such as `qcow2` or `host_device`. */
  readonly drv?: string;
  /** A path, a URL, or `json:` and the options that open it. */
  readonly file?: string;
  readonly ro?: boolean;
  /** Not in every driver's answer. */
  readonly image?: { readonly "actual-size"?: number };
}

/** The answer of `x-debug-query-block-graph` (XDbgBlockGraph). */
export interface RawGraph {
  readonly nodes: readonly { readonly id: number; readonly type: string; readonly name: string }[];
  /** `name` is the child's role for its parent, such as `file`, `backing`, `data-file`. */
  readonly edges: readonly {
    readonly parent: number;
    readonly child: number;
    readonly name: string;
  }[];
}

/** An entry of `query-blockstats` with `query-nodes` (BlockStats). */
export interface RawBlockStats {
  /** Of a device's entry, as in {@link RawBlock}. */
  readonly device?: string;
  readonly qdev?: string;
  readonly "node-name"?: string;
  readonly stats: {
    /** Discards that were answered with success, dropped ones included; of virtio-blk always 0. */
    readonly unmap_operations?: number;
    /** Behind the last byte that was ever written to the node since it was opened. */
    readonly wr_highest_offset?: number;
  };
}

/** A node that a mirror writes to. */
type MirrorTarget = {
  readonly driver: "nbd";
  readonly "node-name": string;
  readonly server: { readonly type: "unix"; readonly path: string };
  readonly export: string;
  readonly "reconnect-delay": number;
  readonly "detect-zeroes": "unmap" | "on" | "off";
  readonly discard: "unmap" | "ignore";
};

/** A node above one. */
type RawTarget = {
  readonly driver: "raw";
  readonly "node-name": string;
  readonly discard: "unmap" | "ignore";
  readonly file: MirrorTarget;
};

/** A second, read-only view of storage that QEMU has open already; its other options are the driver's. */
type ReadOnlyNode = {
  readonly "node-name": string;
  readonly "read-only": true;
  readonly [option: string]: unknown;
};

/** The answer of `query-migrate` (MigrationInfo). */
export interface RawMigration {
  /** Where an incoming migration is waited for; not with `-incoming defer`. */
  readonly "socket-address"?: readonly unknown[];
  readonly status?: string;
  readonly ram?: {
    readonly transferred: number;
    readonly remaining: number;
    readonly total: number;
    readonly "dirty-pages-rate"?: number;
    readonly "page-size"?: number;
    readonly "dirty-sync-count": number;
    readonly mbps: number;
  };
  readonly downtime?: number;
  readonly "expected-downtime"?: number;
  readonly "total-time"?: number;
  readonly "error-desc"?: string;
  readonly "blocked-reasons"?: readonly string[];
}

/** Command name -> its arguments and its answer. */
export interface Commands {
  "query-version": {
    args: Empty;
    answer: {
      readonly qemu: { readonly major: number; readonly minor: number; readonly micro: number };
      readonly package: string;
    };
  };
  "query-commands": { args: Empty; answer: readonly { readonly name: string }[] };
  "query-status": { args: Empty; answer: { readonly status: string; readonly running: boolean } };
  "query-uuid": { args: Empty; answer: { readonly UUID: string } };
  "query-name": { args: Empty; answer: { readonly name?: string } };
  "query-kvm": { args: Empty; answer: { readonly enabled: boolean } };
  "query-cpus-fast": { args: Empty; answer: readonly unknown[] };
  /** Since QEMU 2.7; only on machines whose CPUs can be listed (x86, s390x, pseries, arm and riscv virt). */
  "query-hotpluggable-cpus": {
    args: Empty;
    answer: readonly { readonly "vcpus-count": number; readonly "qom-path"?: string }[];
  };
  /** Since QEMU 2.1: DIMMs and what else is plugged as memory. */
  "query-memory-devices": {
    args: Empty;
    answer: readonly {
      readonly type: string;
      readonly data: { readonly id?: string; readonly size: number };
    }[];
  };
  "query-tpm": { args: Empty; answer: readonly { readonly model: string }[] };
  "query-memory-size-summary": {
    args: Empty;
    answer: { readonly "base-memory": number; readonly "plugged-memory"?: number };
  };
  "qom-list": {
    args: { path: string };
    answer: readonly { readonly name: string; readonly type: string }[];
  };
  "qom-get": { args: { path: string; property: string }; answer: unknown };
  "query-block": { args: Empty; answer: readonly RawBlock[] };
  "query-named-block-nodes": { args: { flat: true }; answer: readonly RawNode[] };
  /** Unstable by its name, and there since QEMU 4.0. Without it only a disk's own node is known. */
  "x-debug-query-block-graph": { args: Empty; answer: RawGraph };
  "query-iothreads": { args: Empty; answer: readonly unknown[] };
  "query-blockstats": { args: { "query-nodes"?: true }; answer: readonly RawBlockStats[] };
  "query-block-exports": { args: Empty; answer: readonly { readonly id: string }[] };
  "query-jobs": { args: Empty; answer: readonly RawJob[] };
  "query-block-jobs": { args: Empty; answer: readonly RawBlockJob[] };
  "query-migrate": { args: Empty; answer: RawMigration };
  "query-migrate-capabilities": {
    args: Empty;
    answer: readonly { readonly capability: string; readonly state: boolean }[];
  };
  "migrate-set-capabilities": {
    args: { capabilities: readonly { capability: string; state: boolean }[] };
    answer: Empty;
  };
  "query-migrate-parameters": { args: Empty; answer: Readonly<Record<string, unknown>> };
  "migrate-set-parameters": { args: Readonly<Record<string, unknown>>; answer: Empty };
  "migrate": { args: { uri: string }; answer: Empty };
  "migrate-incoming": { args: { uri: string; "exit-on-error"?: boolean }; answer: Empty };
  "migrate-continue": { args: { state: "pre-switchover" }; answer: Empty };
  "migrate_cancel": { args: Empty; answer: Empty };
  "nbd-server-start": {
    args: {
      /** `abstract`: not in the file system (Linux, from 5.1 on). */
      addr: { type: "unix"; data: { path: string; abstract?: boolean } };
      "max-connections"?: number;
    };
    answer: Empty;
  };
  "nbd-server-stop": { args: Empty; answer: Empty };
  "block-export-add": {
    args: { type: "nbd"; id: string; "node-name": string; name: string; writable: boolean };
    answer: Empty;
  };
  "block-export-del": { args: { id: string; mode: "safe" | "hard" }; answer: Empty };
  "blockdev-add": {
    args: MirrorTarget | RawTarget | ReadOnlyNode;
    answer: Empty;
  };
  "blockdev-del": { args: { "node-name": string }; answer: Empty };
  "blockdev-mirror": {
    args: {
      "job-id": string;
      device: string;
      target: string;
      sync: "full" | "top";
      "copy-mode": "background" | "write-blocking";
      "on-source-error": "report";
      "on-target-error": "report" | "stop";
      "auto-dismiss": false;
      "buf-size"?: number;
      speed?: number;
    };
    answer: Empty;
  };
  /** On a mirror that is ready, `force: false` ends it in step. */
  "block-job-cancel": { args: { device: string; force?: boolean }; answer: Empty };
  "block-job-change": {
    args: { id: string; type: "mirror"; "copy-mode": "write-blocking" };
    answer: Empty;
  };
  "human-monitor-command": { args: { "command-line": string }; answer: string };
  "job-resume": { args: { id: string }; answer: Empty };
  "job-dismiss": { args: { id: string }; answer: Empty };
  "stop": { args: Empty; answer: Empty };
  "cont": { args: Empty; answer: Empty };
  /** Times in ms. From 4.0 on. */
  "announce-self": {
    args: { initial: number; max: number; rounds: number; step: number };
    answer: Empty;
  };
  "quit": { args: Empty; answer: Empty };
}
