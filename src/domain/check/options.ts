import type { Clock, Logger } from "../../io/mod.ts";
import type { RunProgram } from "../../host/mod.ts";
import type { Domain, MigrateOptions, Virsh } from "../../libvirt/mod.ts";
import type { DescribeHost } from "../../migrate/mod.ts";
import type { ImageToPrepare, Params, Result } from "../../rpc/mod.ts";
import type { Findings } from "./findings.ts";

/** The calls to the destination that a check makes. Both throw as `RpcPeer.call`. */
export interface DomainFactsPeer {
  /** Asks for the destination's libvirt and host. */
  describeDomainHost(signal: AbortSignal): Promise<Result<"describeDomainHost">>;
  /** Asks for the destination's side of the domain's files. */
  describeImages(
    params: Params<"describeImages">,
    signal: AbortSignal,
  ): Promise<Result<"describeImages">>;
}

/** Reads from files of this host. */
export interface FileReader {
  /** The whole file as UTF-8. */
  readText(path: string): Promise<string>;
  /** The length of a file, bytes; `null` for a device, such as a CD drive. */
  length(path: string): Promise<number | null>;
  /** Up to `length` bytes from `offset` on; less at the end of the file. */
  read(path: string, offset: number, length: number): Promise<Uint8Array>;
}

/** The parts and settings of a check. */
export interface CheckDomainOptions {
  /** Name, UUID or id of the domain. */
  readonly name: string;
  /** The source's libvirt, directly. */
  readonly source: Virsh;
  /** The destination's libvirt, through the tunnel. */
  readonly destination: Virsh;
  /** The destination's vmferry. */
  readonly peer: DomainFactsPeer;
  /** Targets of `--reuse`: their images at the destination may be overwritten. */
  readonly reuse: readonly string[];
  /** `--delta`: what the destination's disks hold already is not to be sent. Default: false. */
  readonly delta?: boolean;
  /** Targets of `--shared`: both hosts have them, and they are not copied. */
  readonly shared: readonly string[];
  /** The options for `virsh migrate`. */
  readonly migrate: MigrateOptions;
  /** Runs programs of this host. */
  readonly run: RunProgram;
  /** Reports what this host knows of paths. */
  readonly describeHost: DescribeHost;
  /** Reads files of this host. */
  readonly files: FileReader;
  /** Picks the blocks of a sample; `Math.random` by default. */
  readonly random?: () => number;
  /** Time, injected. */
  readonly clock: Clock;
  /** The debug log. */
  readonly log: Logger;
  /** Aborted when the user cancels. */
  readonly signal: AbortSignal;
}

/** What the migration does, from a check without problems. */
export interface DomainPlan {
  /** The domain as it runs at the source. */
  readonly domain: Domain;
  /** Its name at the destination. */
  readonly nameThere: string;
  /** Its own user and group at the destination, as libvirt takes them; `null`: libvirt's. */
  readonly owner: string | null;
  /** The destination's libvirt and host. */
  readonly host: Result<"describeDomainHost">;
  /** For RPC `prepareDomain`: the images that libvirt writes, created or reused. */
  readonly images: readonly ImageToPrepare[];
  /** For `--migrate-disks`: targets of the disks that libvirt copies. Empty: no disk is copied. */
  readonly copied: readonly string[];
  /** Bytes of the copied disks' virtual sizes. */
  readonly totalBytes: number;
  /** How libvirt copies; `null` without a disk to copy: no `--copy-storage-...` then. */
  readonly copyStorage: "all" | "inc" | null;
}

/** A disk that libvirt copies, for people. */
export interface CheckedDisk {
  /** The disk's target. */
  readonly name: string;
  /** Virtual size, bytes. */
  readonly sizeBytes: number;
  /** Image format at the destination. */
  readonly format: string;
}

/** The result of a check. */
export interface DomainCheck extends Findings {
  /** The domain; `null` where it was not found. */
  readonly domain: Domain | null;
  /** The disks that libvirt copies. */
  readonly disks: readonly CheckedDisk[];
  /** Version of each end's QEMU; `null` where unknown. */
  readonly qemu: { readonly source: string | null; readonly destination: string | null };
  /** What the migration does; `null` where a problem prevents it. */
  readonly plan: DomainPlan | null;
}
