/**
 * Files that hold a secret: nobody but their owner may use them, as ssh demands of its keys.
 *
 * @module
 */
import type { ClosedMode } from "../../transport/mod.ts";
import { isOurs, octal } from "./trusted.ts";
import { UsageError } from "../args/usage_error.ts";

/** What is expected of a file, by the mode bits that it must not have. */
const EXPECTED = {
  0o077: "0600: chmod 600",
  0o027: "0640 or less: chmod 640",
  0o022: "0644 or less: chmod go-w",
} as const;

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
  closed: ClosedMode = 0o077,
): Promise<Uint8Array> {
  using file = await openFile(path, what);
  const info = await file.stat();
  if (!info.isFile) throw new UsageError(`${what}: ${path} is no regular file`);
  if (!isOurs(info)) {
    throw new UsageError(
      `${what}: ${path} is another user's (${info.uid}); expected a file of yours or root's: ` +
        `chown ${Deno.uid()} ${path}`,
    );
  }
  const mode = info.mode ?? 0;
  if ((mode & closed) !== 0) {
    throw new UsageError(
      `${what}: ${path} has mode ${octal(mode)}, others can use it; expected ${
        EXPECTED[closed]
      } ${path}`,
    );
  }
  return await readUpTo(file, limit);
}

/**
 * Reads at most `limit` bytes and two line ends; those at the end do not count.
 *
 * @param isWhole tells that no more need be read than what has come.
 */
export async function readUpTo(
  source: Pick<Deno.FsFile, "read">,
  limit: number,
  isWhole: (bytes: Uint8Array) => boolean = () => false,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(limit + 3);
  let length = 0;
  while (length < bytes.length) {
    const n = await source.read(bytes.subarray(length));
    if (n === null) break;
    length += n;
    if (isWhole(bytes.subarray(0, length))) break;
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
