import type { DiskProgress } from "../events.ts";
import type { DeltaFilter } from "./filter.ts";

/** The migration, as far as the progress of its disks needs it. */
export interface BesideContext {
  readonly options: { readonly delta?: boolean };
  readonly verification?: { verified(disk: string): number } | undefined;
}

/** The progress of a disk that QEMU knows nothing of: what was not sent, and what was compared. */
export function progressBeside(
  { options: { delta }, verification }: BesideContext,
  filter: DeltaFilter | undefined,
  disk: string,
): Pick<DiskProgress, "skipped" | "verified"> {
  return {
    ...(delta && filter ? { skipped: filter.skippedBytes(disk) } : {}),
    ...(verification ? { verified: verification.verified(disk) } : {}),
  };
}
