/**
 * What an error of a mirror job means: its code, the side it comes from and its message. Pure.
 *
 * @module
 */
import { MigrationError } from "../errors.ts";

/** What is known of a mirror job that failed. */
export interface MirrorFailure {
  /** The disk's name, as the user knows it. */
  readonly disk: string;
  /** QEMU's text of the error, such as `No space left on device`. */
  readonly reason: string;
  /** What the job could not do, where QEMU reported it (event BLOCK_JOB_ERROR). */
  readonly operation: string | undefined;
  /** vmferry has begun to end the mirrors: a cancelled job is then of its own making. */
  readonly finishing: boolean;
}

/**
 * The failure of a mirror job as the user reads it. Codes: `mirror-cancelled`, `disk-read-failed`
 * (source), `disk-full` and `disk-write-failed` (destination).
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { mirrorFault } from "./mirror_fault.ts";
 *
 * const full = { disk: "vd0", reason: "No space left on device", operation: "write" };
 * const { code, side, message } = mirrorFault({ ...full, finishing: false });
 * assertEquals([code, side], ["disk-full", "destination"]);
 * assertEquals(message, "No space left on device while writing disk vd0");
 * ```
 */
export function mirrorFault(failure: MirrorFailure): MigrationError {
  const { disk, reason, operation, finishing } = failure;
  // QEMU's text of ECANCELED: no storage has failed. A mirror that is ended too early has it as well.
  if (reason === "Operation canceled" && !finishing) {
    const message = `Somebody cancelled the mirror job of disk ${disk} in the source's QEMU`;
    return new MigrationError("failed", "mirror-cancelled", "source", message);
  }
  if (operation === "read") {
    const message = `${reason} while reading disk ${disk}`;
    return new MigrationError("failed", "disk-read-failed", "source", message);
  }
  const code = /No space left/i.test(reason) ? "disk-full" : "disk-write-failed";
  const message = `${reason} while writing disk ${disk}`;
  return new MigrationError("failed", code, "destination", message);
}

/** QEMU's text of the error that a job is paused for, from its `io-status` (`query-block-jobs`). */
export function reasonOf(ioStatus: string): string {
  return ioStatus === "nospace" ? "No space left on device" : "Input/output error";
}
