import { asMigrationError, ERRORS, type FailureKind } from "../../migrate/mod.ts";
import { type Result, RpcError } from "../../rpc/mod.ts";

/** The refusal of a call of `vmferry migrate`. */
export const WRONG_COMMAND =
  "This receive takes a domain of libvirt. Use 'vmferry domain NAME DESTINATION', or start " +
  "'vmferry receive --qmp PATH' here for 'vmferry migrate'";

/** What could not be removed, as an answer. */
export function leftOf(left: readonly string[]): Result<"settleDomain"> {
  return { left: left.map((text) => text.slice(0, 1024)).slice(0, 64) };
}

/** The answer to a call, with errors that the source can take apart. */
export async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RpcError) throw error;
    const { kind, code, message, problems } = asMigrationError(error, "destination");
    // A code that says of itself that nothing was touched goes with its name.
    const kinds: readonly FailureKind[] = ERRORS[code].kinds;
    const isRefusal = kind === "refused" && kinds.includes("failed");
    throw new RpcError(isRefusal ? "refused" : code, message, problems);
  }
}
