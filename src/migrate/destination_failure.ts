/**
 * What a destination's failures are called.
 *
 * @module
 */
import { MigrationError } from "./errors.ts";

export const CUT_OFF = "The tool was killed while memory was crossing, which can't be taken up";
export const LOST = "The destination's QEMU ended as it was told to run the guest";
export const NOT_SEEN = "QEMU was told to run the guest before, and was not seen to do so";

export function failed(code: string, message: string, cause?: unknown): MigrationError {
  return new MigrationError("failed", code, "destination", message, { cause });
}

/** That nobody knows whether the guest runs here, and why. */
export function unknown(cause: MigrationError): MigrationError {
  const [code, message] = cause.code === "not-seen-running"
    ? [cause.code, cause.message]
    : ["lost", LOST];
  return new MigrationError("unknown", code, "destination", message, { cause });
}
