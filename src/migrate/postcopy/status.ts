/**
 * Whether QEMU's migration is in post-copy: `postcopy-active`, `postcopy-paused` (its stream broke),
 * `postcopy-device` (from 11.0 on), `postcopy-recover` and others. A guest in it needs both QEMUs.
 */
export function inPostcopy(status: string): boolean {
  return status.startsWith("postcopy");
}

/** The status of a post-copy whose stream broke. */
export const POSTCOPY_PAUSED = "postcopy-paused";
