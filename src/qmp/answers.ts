/**
 * The parts of QMP's arguments and answers that are used, as QEMU spells them (qapi/*.json in QEMU's
 * sources). Sizes in bytes, times in ms.
 *
 * @module
 */

/** No arguments, or an answer without members. */
export type Empty = Record<never, never>;

/** An entry of `query-jobs` (JobInfo). */
export interface RawJob {
  /** The job's id. */
  readonly id: string;
  /** Such as `mirror`. */
  readonly type: string;
  /** Such as `running`, `ready`, `concluded`. */
  readonly status: string;
  /** In units of the job's own: bytes for a mirror. */
  readonly "current-progress": number;
  /** The same unit; it grows while the guest writes. */
  readonly "total-progress": number;
  /** Why it failed, once it has. */
  readonly error?: string;
}

/** An entry of `query-block-jobs` (BlockJobInfo). */
export interface RawBlockJob {
  /** The job's id, in spite of its name. */
  readonly device: string;
  /** Such as `mirror`. */
  readonly type: string;
  /** Total bytes; it grows while the guest writes. */
  readonly len: number;
  /** Bytes done. */
  readonly offset: number;
  /** The mirror has copied everything and now follows the guest's writes. */
  readonly ready: boolean;
  /** As of `query-jobs`. */
  readonly status: string;
  /** `failed` or `nospace` while an error pauses the job, until `job-resume`. */
  readonly "io-status": string;
}

/** An image in `query-block` (ImageInfo). */
export interface RawImage {
  /** The size that the guest sees. */
  readonly "virtual-size": number;
  /** Bytes that it takes in its file system. */
  readonly "actual-size"?: number;
  /** Such as `qcow2`. */
  readonly format?: string;
  /** Of qcow2 and other formats with clusters. */
  readonly "cluster-size"?: number;
  /** With a secret of QEMU's. */
  readonly encrypted?: boolean;
  /** Internal snapshots. */
  readonly snapshots?: readonly { readonly name: string }[];
  /** Of qcow2, by its own names. */
  readonly "format-specific"?: {
    readonly data?: {
      readonly compat?: string;
      readonly "lazy-refcounts"?: boolean;
      readonly "extended-l2"?: boolean;
      readonly "data-file"?: string;
    };
  };
  /** The image below, as the header names it. */
  readonly "backing-filename"?: string;
  /** The same from QEMU's working directory. */
  readonly "full-backing-filename"?: string;
  /** Its format, as the header names it. */
  readonly "backing-filename-format"?: string;
  /** The image below, as it is open. */
  readonly "backing-image"?: RawImage & { readonly filename?: string };
}

/** An entry of `query-block` (BlockInfo). */
export interface RawBlock {
  /** Name of the BlockBackend; empty for one without a name. */
  readonly device: string;
  /** Id or QOM path of the device that uses it. */
  readonly qdev?: string;
  /** `failed` or `nospace` while an error pauses the guest, until `cont`. */
  readonly "io-status"?: string;
  /** Its medium can be changed, as a CD drive's. */
  readonly removable?: boolean;
  /** The medium; missing for a drive without one. */
  readonly inserted?: {
    readonly "node-name"?: string;
    readonly ro: boolean;
    /** Block driver, such as `qcow2`. */
    readonly drv: string;
    /** File name or URL. */
    readonly file: string;
    readonly image: RawImage;
    readonly "dirty-bitmaps"?: readonly { readonly name?: string }[];
    /** `writeback` is the device's write cache; the other two are the node's. */
    readonly cache?: {
      readonly writeback: boolean;
      readonly direct: boolean;
      readonly "no-flush": boolean;
    };
    /** `off`, `on`, `unmap`. */
    readonly detect_zeroes?: string;
    /** The guest's requests are limited: operations and bytes a second; 0 without a limit. */
    readonly iops?: number;
    readonly iops_rd?: number;
    readonly iops_wr?: number;
    readonly bps?: number;
    readonly bps_rd?: number;
    readonly bps_wr?: number;
  };
}

/** An entry of `query-named-block-nodes` (BlockDeviceInfo). */
export interface RawNode {
  /** The node's name; QEMU's own begin with `#`. */
  readonly "node-name": string;
  /** Block driver, such as `qcow2` or `host_device`. */
  readonly drv?: string;
  /** A path, a URL, or `json:` and the options that open it. */
  readonly file?: string;
  /** Opened read-only. */
  readonly ro?: boolean;
  /** Not in every driver's answer. */
  readonly image?: { readonly "actual-size"?: number; readonly "virtual-size"?: number };
}

/** The answer of `x-debug-query-block-graph` (XDbgBlockGraph). */
export interface RawGraph {
  /** `type` is `block-driver` for a node, else a user of one. */
  readonly nodes: readonly { readonly id: number; readonly type: string; readonly name: string }[];
  /** `name` is the child's role for its parent, such as `file`, `backing`, `data-file`. */
  readonly edges: readonly {
    readonly parent: number;
    readonly child: number;
    readonly name: string;
  }[];
}

/** An entry of `query-blockstats` (BlockStats). */
export interface RawBlockStats {
  /** Of a device's entry, as in {@link RawBlock}. */
  readonly device?: string;
  /** Of a device's entry, as in {@link RawBlock}. */
  readonly qdev?: string;
  /** The node's name. */
  readonly "node-name"?: string;
  /** The counters that are used. */
  readonly stats: {
    /** Discards that succeeded, ignored ones included; always 0 for virtio-blk. */
    readonly unmap_operations?: number;
    /** Writes of the guest. */
    readonly wr_operations?: number;
    /** How long they took together, ns. */
    readonly wr_total_time_ns?: number;
    /** End of the highest write to the node since it was opened. */
    readonly wr_highest_offset?: number;
  };
}

/** Arguments of `blockdev-add` for the node that a mirror writes to. */
export type MirrorTarget = {
  /** NBD, over a socket of ours. */
  readonly driver: "nbd";
  /** The new node's name. */
  readonly "node-name": string;
  /** Where the NBD server is reached. */
  readonly server: { readonly type: "unix"; readonly path: string };
  /** Name of the export. */
  readonly export: string;
  /** How long requests wait for a new connection, s. */
  readonly "reconnect-delay": number;
  /** `unmap`: writes of zeroes become discards. */
  readonly "detect-zeroes": "unmap" | "on" | "off";
  /** `unmap`: discards reach the server. */
  readonly discard: "unmap" | "ignore";
};

/** Arguments of `blockdev-add` for a `raw` node above a {@link MirrorTarget}. */
export type RawTarget = {
  /** Passes requests on. */
  readonly driver: "raw";
  /** The new node's name. */
  readonly "node-name": string;
  /** `unmap`: discards reach the server. */
  readonly discard: "unmap" | "ignore";
  /** The node below. */
  readonly file: MirrorTarget;
};

/** Arguments of `blockdev-add` for a read-only view of storage that QEMU has open already. */
export type ReadOnlyNode = {
  /** The new node's name. */
  readonly "node-name": string;
  /** Never written. */
  readonly "read-only": true;
  /** The driver's own options. */
  readonly [option: string]: unknown;
};

/** The answer of `query-migrate` (MigrationInfo). Times in ms. */
export interface RawMigration {
  /** Where QEMU waits for an incoming migration; not with `-incoming defer`. Since QEMU 4.0. */
  readonly "socket-address"?: readonly unknown[];
  /** Missing while there was no migration. */
  readonly status?: string;
  /** Bytes, but for the rates and counters. */
  readonly ram?: {
    readonly transferred: number;
    readonly remaining: number;
    readonly total: number;
    /** Pages a second. */
    readonly "dirty-pages-rate"?: number;
    readonly "page-size"?: number;
    /** Passes over RAM. */
    readonly "dirty-sync-count": number;
    /** Megabits a second. */
    readonly mbps: number;
  };
  /** Throttle of the guest, percent of its CPU time; missing without one. Since QEMU 2.4. */
  readonly "cpu-throttle-percentage"?: number;
  /** With `xbzrle`. */
  readonly "xbzrle-cache"?: {
    /** Sent for pages of which only the changes were sent, bytes. */
    readonly bytes: number;
    /** How many pages that were. */
    readonly pages: number;
    /** Pages that were not in the cache. */
    readonly "cache-miss": number;
    /** Pages that had changed too much. */
    readonly overflow: number;
  };
  /** Measured, once the migration is complete. */
  readonly downtime?: number;
  /** Estimated. */
  readonly "expected-downtime"?: number;
  /** Since the migration began. */
  readonly "total-time"?: number;
  /** Why it failed. Since QEMU 2.7. */
  readonly "error-desc"?: string;
  /** Why QEMU would refuse to migrate. Since QEMU 6.0. */
  readonly "blocked-reasons"?: readonly string[];
}

/** An entry of `query-qmp-schema` (SchemaInfo). */
export interface RawSchemaEntity {
  /** A command's name, or the name of a type that means nothing by itself. */
  readonly name: string;
  /** Of a command: the type of its arguments. */
  readonly "arg-type"?: string;
  /** Of an object. */
  readonly members?: readonly { readonly name: string; readonly type?: string }[];
  /** Of an enumeration. */
  readonly values?: readonly string[];
}
