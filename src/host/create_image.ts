/**
 * Creates an image file by qemu-img, under a name that no file may have.
 *
 * @module
 */
import { imageCommand, type NewImage } from "./image_command.ts";
import { CommandError } from "./paths.ts";
import type { RunProgram } from "./program.ts";

/** How long qemu-img may take to create an image, ms; longer for one that is allocated as a whole. */
const CREATE_MS = 60_000;
const ALLOCATE_BYTES_PER_MS = 20_000;

/** The new file, for the program that writes the image. */
const OPEN_FILE = "/proc/self/fd/9";

/**
 * Makes an empty file that did not exist (`$1`), for vmferry's user alone, has qemu-img (`$4` and on) write the
 * image to it, and gives it to its owner (`$2`, if any) with its mode (`$3`). Removes it where that fails.
 *
 * - Another user may own the directory, and put a link in its place: only the open file gets owner and mode.
 * - After a kill of vmferry this goes on, while the next launch may have removed the file and made its own.
 */
const CREATE = `
umask 077
file=$1 owner=$2 mode=$3
shift 3
set -C
exec 9>"$file" || exit 1
set +C
"$@" && { [ -z "$owner" ] || chown "$owner" /proc/self/fd/9; } && chmod "$mode" /proc/self/fd/9 ||
  { if [ "$file" -ef /proc/self/fd/9 ]; then rm -f -- "$file"; fi; exit 1; }
if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null; then restorecon -- "$file"; fi
`;

/** A command failed and has left nothing: what lies at its path is another program's. */
export class NothingMade extends CommandError {}

/**
 * Creates an image.
 *
 * @param owner as chown takes it; empty for vmferry's own user.
 * @throws {CommandError} with the words of sh or qemu-img, {@link NothingMade} if the file is not there.
 * @throws the signal's reason when that is aborted.
 */
export async function createImageFile(
  run: RunProgram,
  image: NewImage,
  owner: string,
  signal: AbortSignal,
): Promise<void> {
  const { path, sizeBytes, mode, allocated, format } = image;
  // Other formats write the file's name into it.
  const isNameless = format === "raw" || format === "qcow2";
  const program = imageCommand(isNameless ? { ...image, path: OPEN_FILE } : image);
  const script = ["sh", "-c", CREATE, "sh", path, owner, octal(mode)];
  const ms = CREATE_MS + (allocated ? sizeBytes / ALLOCATE_BYTES_PER_MS : 0);
  try {
    await runMaker(run, [...script, ...program], signal, ms);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const words = error.message.replaceAll(OPEN_FILE, path);
    throw error instanceof NothingMade
      ? new NothingMade(words, { cause: error })
      : new CommandError(words, { cause: error });
  }
}

/**
 * Runs a script that removes what it has made when it fails.
 *
 * @returns what it prints.
 * @throws {NothingMade} when it failed; {@link CommandError} when a signal ended it.
 */
export async function runMaker(
  run: RunProgram,
  argv: readonly string[],
  signal: AbortSignal,
  timeoutMs: number,
): Promise<string> {
  const { code, stdout, stderr } = await run(argv, { timeoutMs, signal });
  if (code === 0) return stdout;
  const words = stderr.trim() || `sh ended with exit code ${code}`;
  // After a signal the script has removed nothing.
  throw code < 128 ? new NothingMade(words) : new CommandError(words);
}

/** As chmod takes it. */
export function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
