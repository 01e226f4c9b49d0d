import type { GuestOptions, ImageFormat } from "../guest/mod.ts";
import type { Network } from "../support/network.ts";
import type { PairBacking } from "./pair_backing.ts";
import type { BrokenSector, DiskBus } from "../support/qemu.ts";

export const MiB = 1024 * 1024;

/** An end of a pair, as its QEMU and its run directory are called. */
export type PairSide = "source" | "dest";

/** A disk on both sides. Sizes in bytes. */
export interface PairDisk {
  readonly from: ImageFormat;
  readonly to: ImageFormat;
  readonly bus?: DiskBus;
  /** What of the source's or the destination's is broken. */
  readonly brokenFrom?: BrokenSector;
  readonly brokenTo?: BrokenSector;
  /** The UNIX socket of an NBD server that serves the destination's image. Default: none. */
  readonly nbdTo?: string;
  /** Default: as the source's. */
  readonly destinationBytes?: number;
  /** Only so many bytes from its start hold data, the rest is a hole. Default: all. */
  readonly dataBytes?: number;
  /** Its data shrinks to a third. Default false: to nothing smaller. */
  readonly shrinks?: boolean;
  /** `discard` of the destination's node. Default: none. */
  readonly discardTo?: "unmap";
  /** The destination's image is allocated from its first byte to its last. */
  readonly preallocated?: boolean;
  /** The destination's image is a copy of the source's, but for some blocks. */
  readonly oldCopy?: true;
  /** Images below it at both ends; both formats are qcow2 then. */
  readonly backing?: PairBacking;
  /** Its id at the destination; `null`: it is not there. Default: as at the source. */
  readonly destinationId?: string | null;
}

/** How a pair is made. */
export interface PairOptions {
  readonly disks?: readonly PairDisk[];
  /** Size of every disk of the source, bytes. Default 64 MiB. */
  readonly bytes?: number;
  readonly guest?: Partial<GuestOptions>;
  readonly memoryMiB?: number;
  /** The source is not running when the migration begins. */
  readonly paused?: boolean;
  /** The destination waits for a migration. Default true. */
  readonly incoming?: boolean;
  /** Directories for images of the destination, by the disk's number. Default: the scenario's. */
  readonly destinationDirs?: { readonly [disk: number]: string };
  /** Directory for images and sockets; a short path. Default: the scenario's. */
  readonly dir?: string;
  /** Where the two ends run. Default: both here. */
  readonly network?: Network;
  /** vmferry reaches the QEMUs through `Pair.gates`, which costs time. Default false. */
  readonly gated?: boolean;
  /** The QEMUs' standard errors are files. Default false. */
  readonly logged?: boolean;
  readonly sourceExtra?: readonly string[];
  readonly destinationExtra?: readonly string[];
}
