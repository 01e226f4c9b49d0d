import { asMigrationError, MigrationError } from "../../migrate/mod.ts";
import { RpcError } from "../../rpc/mod.ts";
import type { SessionError } from "../../tunnel/mod.ts";

/** The answer to a call, with errors that the source can take apart. */
export async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RpcError) throw error;
    const { code, message, problems } = asMigrationError(error, "destination");
    throw new RpcError(code, message, problems);
  }
}

/** Why a launch has no source any more. */
export function whyGone(cause: SessionError | undefined): MigrationError {
  if (cause) return asMigrationError(cause, "destination");
  return new MigrationError("failed", "source-gone", "source", "The source ended the session");
}
