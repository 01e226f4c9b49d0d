import type { Virsh } from "../../libvirt/mod.ts";
import type { ImageToPrepare, Result } from "../../rpc/mod.ts";
import type { DomainPeer } from "./destination_peer.ts";

/** What a migration does, as the check of the domain and both hosts has found it. */
export interface SourcePlan {
  /** The domain at the source. */
  readonly domain: { readonly name: string; readonly uuid: string };
  /** Its name at the destination. */
  readonly nameThere: string;
  /** Its own user and group at the destination, as libvirt takes them; `null`: libvirt's. */
  readonly owner: string | null;
  /** The destination's libvirt and host. */
  readonly host: Pick<Result<"describeDomainHost">, "uri" | "hostUuid" | "socketDirs">;
  /** The images that libvirt writes, created or reused; named by their disks' targets. */
  readonly images: readonly ImageToPrepare[];
  /** Targets of the disks that libvirt copies. */
  readonly copied: readonly string[];
  /** How libvirt copies; `null` without a disk to copy. */
  readonly copyStorage: "all" | "inc" | null;
}

/** What a check gets from the migration. */
export interface CheckAccess {
  /** The source's libvirt, directly. */
  readonly source: Virsh;
  /** The destination's libvirt, through the tunnel. */
  readonly destination: Virsh;
  /** The destination's vmferry. */
  readonly peer: DomainPeer;
  /** Aborted when the user cancels. */
  readonly signal: AbortSignal;
}

/**
 * Checks the domain and both hosts, and reports warnings. Changes nothing.
 *
 * @throws {MigrationError} kind `refused`, with every problem.
 */
export type CheckSource = (access: CheckAccess) => Promise<SourcePlan>;
