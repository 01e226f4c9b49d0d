import { asMigrationError, type ErrorCode, MigrationError } from "../../migrate/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import { CopyDeviceError } from "../engine/copy_device.ts";
import { VerifyReadError } from "./verify.ts";

/** Why a copy failed, from what its source has thrown. */
export async function failureOf(error: unknown, session: Session): Promise<MigrationError> {
  if (error instanceof MigrationError) return error;
  // What was under way fails with the session, whose end has the cause.
  if (session.state === "ended") {
    const cause = await session.ended;
    if (cause) return asMigrationError(cause, "source");
  }
  if (error instanceof VerifyReadError) {
    const side = error.device === "source" ? "source" : "destination";
    return new MigrationError("failed", "verify-failed", side, error.message, { cause: error });
  }
  if (!(error instanceof CopyDeviceError)) return asMigrationError(error, "source");
  const { device, errno, message } = error;
  const side = device === "source" ? "source" : "destination";
  const code: ErrorCode = errno === undefined
    ? "disk-connection-closed"
    : device === "source"
    ? "disk-read-failed"
    : errno === "ENOSPC"
    ? "disk-full"
    : "disk-write-failed";
  const what = code === "disk-full" ? "No space left on the device" : message;
  return new MigrationError("failed", code, side, what, { cause: error });
}
