/**
 * The facts that a host knows about the paths that its QEMU has open: shapes only, src/cli reads them.
 *
 * @module
 */

/** A host, and files on it. */
export interface HostFacts {
  /** The kernel's boot id, which two processes on one host have in common. Empty where unknown. */
  readonly bootId: string;
  /** vmferry's network namespace; empty where unknown. */
  readonly network: string;
  /** IP addresses of the host. */
  readonly addresses: readonly string[];
  /** In the order of the paths; `undefined` for a missing file. */
  readonly files: readonly (FileFacts | undefined)[];
}

/** A file, device or socket, after following symbolic links. */
export interface FileFacts {
  /** Device of its file system, `MAJOR:MINOR`. */
  readonly device: string;
  /** Inode number, in decimal digits. */
  readonly inode: string;
  /** Type and source of its file system, as `nfs4` and `nas:/vm`; `undefined` where unknown. */
  readonly mount: { readonly type: string; readonly source: string } | undefined;
  /** Set for a block device. */
  readonly block: BlockFacts | undefined;
}

/** A block device (/sys/dev/block). */
export interface BlockFacts {
  /** `MAJOR:MINOR`. */
  readonly number: string;
  /** World-wide names, as `naa.600140…`, `eui.…`. */
  readonly wwids: readonly string[];
  /** The device mapper's uuid, as `LVM-…` or `mpath-…`. */
  readonly dmUuid: string | undefined;
  /** A loop device's file, and whether the device covers the whole file. */
  readonly loop: { readonly file: FileFacts | undefined; readonly whole: boolean } | undefined;
  /** Whether it is a partition of the device below. */
  readonly partition: boolean;
  /** The devices below it. */
  readonly below: readonly BlockFacts[];
}

/** Looks at paths of this host. Never rejects, and has a deadline; unknown facts are left out. */
export type DescribeHost = (paths: readonly string[]) => Promise<HostFacts>;
