/**
 * What a failure at the source is called, when more is known than the error that was thrown.
 *
 * @module
 */
import { type Clock, DeadlineError, withDeadline } from "../io/mod.ts";
import { NbdProbeError } from "../nbd/mod.ts";
import { type Session, StreamResetError } from "../tunnel/mod.ts";
import { MigrationError } from "./errors.ts";

/** How long its reason may take when a stream of it broke, ms. */
export const CAUSE_MS = 2_000;

/** A stream that the destination cut is not the reason; that comes with the end of its session. */
export async function toldBy(
  session: Session | undefined,
  cause: unknown,
  clock: Clock,
): Promise<unknown> {
  const cut = cause instanceof StreamResetError || cause instanceof MigrationError &&
      (cause.cause instanceof NbdProbeError || cause.cause instanceof StreamResetError);
  if (!session || !cut) return cause;
  const end = await withDeadline(clock, CAUSE_MS, "the destination's reason", session.ended)
    .catch(() => undefined);
  return end?.code === "ended-by-peer" ? end : cause;
}

/** What got stuck while the link was down did so because of that. */
export function withLink(session: Session | undefined, error: MigrationError): MigrationError {
  const stuck = error.code === "mirror-stuck" || error.cause instanceof DeadlineError;
  if (!stuck || session?.state !== "down") return error;
  const message = `The connection to the destination is lost: ${error.message}`;
  return new MigrationError(error.kind, "connection-lost", "source", message, { cause: error });
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
