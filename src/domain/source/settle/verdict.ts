/**
 * Who has the guest, and what follows, after a `virsh migrate` that did not say it. Pure.
 *
 * @module
 */
import type { DomainRunState } from "../../../libvirt/mod.ts";

/** libvirt's reason of a guest whose post-copy was cut off. */
const POSTCOPY_FAILED = "post-copy failed";

/** The domain at this host, as its libvirt says it. */
export interface SourceFacts {
  readonly state: DomainRunState;
  /** libvirt's reason for the state, such as `migrating`. */
  readonly reason: string;
  /** A job of the domain runs, such as the migration that libvirt is about to cancel. */
  readonly job: boolean;
  /** The guest was paused before the migration began. */
  readonly wasPaused: boolean;
}

/** The domain at the destination; `undefined` where it is not known. */
export interface DestinationFacts {
  readonly state: DomainRunState;
  readonly reason: string;
  /** Its QEMU waits for the migration, or receives it. */
  readonly incoming: boolean;
  /** It ran there after the migration and has ended; `null` where the destination does not say. */
  readonly hasRun?: boolean | null;
}

/** What follows. */
export type SettleVerdict =
  /** Look again: libvirt is about to decide. */
  | "wait"
  /** Ask the destination, which is not known yet. */
  | "ask"
  /** The source has the guest as it was before. */
  | "stays"
  /** The destination does not have it: resume it here. */
  | "resume"
  /** The destination has it: destroy the paused one here. */
  | "finish"
  /** The destination has it, and nothing is left here. */
  | "migrated"
  /** It ended here during the migration, and the destination does not have it. */
  | "ended"
  /** It ran at the destination and ended there: the guest here is an older state of it. */
  | "has-run"
  /** Post-copy was cut off: each host has a part of the guest's RAM. */
  | "split";

/**
 * libvirt's reasons of a guest whose RAM lies on both hosts (`virsh domstate --reason`, libvirt 9.0):
 * it must never be resumed or destroyed here.
 */
export function isPostcopy(reason: string): boolean {
  return reason.startsWith("post-copy");
}

/**
 * The verdict on a migration that has ended for virsh.
 *
 * A guest that is paused here is never resumed unless the destination does not have it, and never
 * destroyed unless the destination has it with its QEMU past the migration.
 */
export function settleVerdict(
  source: SourceFacts,
  destination: DestinationFacts | undefined,
): SettleVerdict {
  if (source.state === "other") return "wait";
  // libvirt resumes the source only when it knows that the destination does not run.
  if (source.state === "running") return source.job ? "wait" : "stays";
  const isHere = source.state === "paused";
  if (isHere && source.job && !isPostcopy(source.reason)) return "wait";
  if (!destination) return "ask";
  // Waiting would not change it: only a user knows which of the two states is wanted.
  if (destination.hasRun) return "has-run";
  if (destination.state === "other" || destination.incoming) return "wait";
  const isThere = destination.state === "running" || destination.state === "paused";
  if (isHere && isPostcopy(source.reason)) {
    if (!isThere) return "split";
    if (!isPostcopy(destination.reason)) return destination.state === "running" ? "finish" : "wait";
    // Until both QEMUs have noticed that the connection is lost, post-copy may still end well.
    const hasFailed = [source, destination].every(({ reason }) => reason === POSTCOPY_FAILED);
    return hasFailed ? "split" : "wait";
  }
  if (isThere) {
    if (isPostcopy(destination.reason)) return "wait";
    // A paused one that is not ours to judge: only a guest that was paused before may be paused there.
    if (destination.state === "paused" && !source.wasPaused) return "wait";
    return isHere ? "finish" : "migrated";
  }
  if (isHere) return source.wasPaused ? "stays" : "resume";
  return "ended";
}
