import { InputError } from "../../transport/mod.ts";
import { UsageError } from "../args/usage_error.ts";

/**
 * What `read` returns; an {@link InputError} that it throws becomes a {@link UsageError}.
 *
 * @param what names the argument in front of the message, such as `--listen`.
 */
export function inputOf<T>(read: () => T, what?: string): T {
  try {
    return read();
  } catch (error) {
    throw usageError(error, what);
  }
}

/** The same for what is read in the background. */
export async function inputFrom<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw usageError(error);
  }
}

function usageError(error: unknown, what?: string): unknown {
  if (!(error instanceof InputError)) return error;
  return new UsageError(what === undefined ? error.message : `${what}: ${error.message}`);
}
