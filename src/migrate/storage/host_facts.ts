/**
 * What an end's own host says of the paths that its QEMU has open. The command line looks; here are the shapes.
 *
 * @module
 */

/** A host, and files on it. */
export interface HostFacts {
  /** The kernel's boot id: the same on both ends where they are on one host. Empty where unknown. */
  readonly bootId: string;
  /** The network namespace that vmferry is in; empty where unknown. */
  readonly network: string;
  /** IP addresses of the host. */
  readonly addresses: readonly string[];
  /** In the order of the paths; `undefined` for one that is not there. */
  readonly files: readonly (FileFacts | undefined)[];
}

/** A file, device or socket, links followed. */
export interface FileFacts {
  /** Device of its file system, `MAJOR:MINOR`. */
  readonly device: string;
  readonly inode: string;
  /** Type and source of its file system, as `nfs4` and `nas:/vm`; `undefined` where unknown. */
  readonly mount: { readonly type: string; readonly source: string } | undefined;
  /** Of a block device. */
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
  /** A loop device's file, and whether all of it is in the device. */
  readonly loop: { readonly file: FileFacts | undefined; readonly whole: boolean } | undefined;
  /** It is a part of the device below it. */
  readonly partition: boolean;
  /** The devices that it stands on. */
  readonly below: readonly BlockFacts[];
}

/** Looks at paths of this host. Never throws, and not for long: what can't be told is left out. */
export type DescribeHost = (paths: readonly string[]) => Promise<HostFacts>;
