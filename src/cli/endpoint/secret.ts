import { limits } from "../../tunnel/mod.ts";
import { readPrivate } from "./private_file.ts";
import { UsageError } from "../args/usage_error.ts";

/**
 * Reads the secret that both ends share. Line ends at its end do not count.
 *
 * @throws {UsageError} when it can't be read, others can read it, or it is too short or too long.
 */
export async function readSecret(path: string): Promise<Uint8Array> {
  const secret = await readPrivate(path, "--secret-file", limits.MAX_SECRET);
  if (secret.length < limits.MIN_SECRET || secret.length > limits.MAX_SECRET) {
    throw new UsageError(
      `--secret-file: ${path} holds ${secret.length > limits.MAX_SECRET ? "more than " : ""}` +
        `${Math.min(secret.length, limits.MAX_SECRET)} bytes, expected ${limits.MIN_SECRET} to ` +
        `${limits.MAX_SECRET}`,
    );
  }
  return secret;
}
