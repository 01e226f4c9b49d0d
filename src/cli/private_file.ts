/**
 * Files that hold a secret: nobody but their owner may use them, as ssh demands of its keys.
 *
 * @module
 */
import { UsageError } from "./usage_error.ts";

/**
 * Reads a private file; line ends at its end do not count.
 *
 * @param what names the argument in errors, such as `--secret-file`.
 * @param closed the mode bits that must not be set.
 * @param limit most bytes that are read; one more tells that there are more.
 * @throws {UsageError} when it can't be read or others can use it.
 */
export async function readPrivate(
  path: string,
  what: string,
  limit: number,
  closed = 0o077,
): Promise<Uint8Array> {
  using file = await openFile(path, what);
  const { mode, isFile } = await file.stat();
  if (!isFile) throw new UsageError(`${what}: ${path} is no regular file`);
  if (mode !== null && (mode & closed) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, "0");
    throw new UsageError(
      `${what}: ${path} has mode ${octal}, others can use it; expected ` +
        `${closed === 0o077 ? "0600: chmod 600" : "0640 or less: chmod 640"} ${path}`,
    );
  }
  return await readUpTo(file, limit);
}

/** Reads at most `limit` bytes and two line ends; those at the end do not count. */
export async function readUpTo(
  source: Pick<Deno.FsFile, "read">,
  limit: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(limit + 3);
  let length = 0;
  while (length < bytes.length) {
    const n = await source.read(bytes.subarray(length));
    if (n === null) break;
    length += n;
  }
  while (length > 0 && (bytes[length - 1] === 0x0a || bytes[length - 1] === 0x0d)) length--;
  return bytes.slice(0, length);
}

/**
 * Writes a new private file. One that is there is replaced, so that its mode and who else has it
 * open do not matter.
 *
 * @throws {UsageError} when it can't be written.
 */
export async function writePrivate(path: string, text: string, what: string): Promise<void> {
  const fresh = `${path}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    await Deno.writeTextFile(fresh, text, { mode: 0o600, createNew: true });
    await Deno.rename(fresh, path);
  } catch (error) {
    await Deno.remove(fresh).catch(() => {});
    throw new UsageError(`${what}: can't write ${path}: ${(error as Error).message}`);
  }
}

async function openFile(path: string, what: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { read: true });
  } catch (error) {
    throw new UsageError(`${what}: can't read ${path}: ${(error as Error).message}`);
  }
}
