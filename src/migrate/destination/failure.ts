/**
 * What a destination's failures are called.
 *
 * @module
 */
import { messageOf } from "../../io/mod.ts";
import { MigrationError } from "../errors.ts";
import { quoteOf } from "../last_words.ts";

export const CUT_OFF = "The tool was killed while memory was crossing, which can't be taken up";
export const LOST = "The destination's QEMU ended as it was told to run the guest";
export const NOT_SEEN = "QEMU was told to run the guest before, and was not seen to do so";

export function failed(code: string, message: string, cause?: unknown): MigrationError {
  return new MigrationError("failed", code, "destination", message, { cause });
}

/**
 * QEMU could not load the guest. It ends then, unless it was told not to (from 9.1 on), and says why
 * in its log; before 11.1 `query-migrate` only says that it failed.
 */
export function notLoaded(cause: unknown, log: string | undefined): MigrationError {
  const quote = log === undefined ? undefined : quoteOf(log);
  const message = [
    `The guest could not be loaded: ${messageOf(cause)}`,
    ...(quote === undefined ? [] : [`QEMU says: "${quote}"`]),
  ].join(". ");
  const quoted = quote !== undefined;
  return new MigrationError("failed", "not-loaded", "destination", message, { cause, quoted });
}

/** That nobody knows whether the guest runs here, and why. */
export function unknown(cause: MigrationError): MigrationError {
  const [code, message] = cause.code === "not-seen-running"
    ? [cause.code, cause.message]
    : ["lost", cause.quoted ? `${LOST}. ${cause.message}` : LOST];
  return new MigrationError("unknown", code, "destination", message, { cause });
}
