import { limits } from "../tunnel/mod.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Reads the secret that both ends share. Line ends at its end do not count.
 *
 * @throws {UsageError} when it can't be read, others can read it, or it is too short or too long.
 */
export async function readSecret(path: string): Promise<Uint8Array> {
  using file = await openFile(path);
  const { mode, isFile } = await file.stat();
  if (!isFile) throw new UsageError(`--secret-file: ${path} is no regular file`);
  if (mode !== null && (mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, "0");
    throw new UsageError(
      `--secret-file: ${path} has mode ${octal}, others can use it; expected 0600: ` +
        `chmod 600 ${path}`,
    );
  }
  const bytes = new Uint8Array(limits.MAX_SECRET + 3);
  let length = 0;
  while (length < bytes.length) {
    const n = await file.read(bytes.subarray(length));
    if (n === null) break;
    length += n;
  }
  while (length > 0 && (bytes[length - 1] === 0x0a || bytes[length - 1] === 0x0d)) length--;
  if (length < limits.MIN_SECRET || length > limits.MAX_SECRET) {
    throw new UsageError(
      `--secret-file: ${path} holds ${length > limits.MAX_SECRET ? "more than " : ""}` +
        `${Math.min(length, limits.MAX_SECRET)} bytes, expected ${limits.MIN_SECRET} to ` +
        `${limits.MAX_SECRET}`,
    );
  }
  return bytes.slice(0, length);
}

async function openFile(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { read: true });
  } catch (error) {
    throw new UsageError(`--secret-file: can't read ${path}: ${(error as Error).message}`);
  }
}
