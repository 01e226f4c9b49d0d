import { hashBlocks } from "../../delta/mod.ts";
import {
  asMigrationError,
  ERRORS,
  type ExportReaders,
  type FailureKind,
} from "../../migrate/mod.ts";
import { type Params, type Result, RpcError } from "../../rpc/mod.ts";

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

/**
 * Answers `hashBlocks`: libvirt has started QEMU's NBD server by the time that a mirror writes to it.
 *
 * @param readers of the session that asks; `undefined`: it has prepared nothing.
 * @throws {RpcError} `refused` without readers; as `hashBlocks` of src/delta.
 */
export async function hashExport(
  readers: ExportReaders | undefined,
  { disk, offset, length }: Params<"hashBlocks">,
): Promise<Result<"hashBlocks">> {
  if (!readers) throw new RpcError("refused", "This session has prepared no domain");
  const hashes = await readers.use(disk, (reader) => hashBlocks(reader, { offset, length }));
  return hashes.encode();
}
