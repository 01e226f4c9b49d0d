/**
 * What a failure at the source is called, when more is known than the error that was thrown.
 *
 * @module
 */
import { DeadlineError } from "../../io/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import { MigrationError } from "../errors.ts";
import { ASLEEP_STUCK } from "../guest/run_again.ts";

/** A wait that got stuck while the connection was down did so because of that. */
export function withLink(session: Session | undefined, error: MigrationError): MigrationError {
  const stuck = error.code === "mirror-stuck" || error.cause instanceof DeadlineError;
  if (!stuck || session?.state !== "down") return error;
  const message = `The connection to the destination is lost: ${error.message}`;
  return new MigrationError(error.kind, "connection-lost", "source", message, { cause: error });
}

/** The guest sleeps at the source and cannot be continued, after this. */
export function asleepStuck(cause: MigrationError): MigrationError {
  const message = `${cause.message}. ${ASLEEP_STUCK}`;
  return new MigrationError("unknown", "guest-asleep-stuck", "source", message, { cause });
}

/** The error as that kind, with what else there is to say. */
export function worded(
  kind: MigrationError["kind"],
  error: MigrationError,
  more: readonly string[],
): MigrationError {
  if (kind === error.kind && more.length === 0) return error;
  const message = [error.message, ...more].join(". ");
  return new MigrationError(kind, error.code, error.side, message, { cause: error });
}

/** What could not be undone at the destination, with what finishes it. */
export function atDestination(left: string): string {
  return `Not undone at the destination: ${left}. The next 'vmferry receive' of that QEMU finishes it, or ` +
    "'vmferry recover --yes' there";
}
