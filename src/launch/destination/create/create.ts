/**
 * Creates the directories and images of a launch, each effect after a record in the journal.
 *
 * @module
 */
import { messageOf } from "../../../io/mod.ts";
import { CommandError, lookAt, type RunProgram } from "../../../host/mod.ts";
import { asMigrationError, MigrationError } from "../../../migrate/mod.ts";
import type { LaunchImage } from "../../../rpc/mod.ts";
import type { LaunchHost } from "../host.ts";
import type { Owner } from "../rules/owner.ts";
import type { LaunchPlan } from "../plan.ts";
import type { Recorded } from "../recorded.ts";
import { imageCommand } from "./image_command.ts";

/** How long qemu-img may take to create an image, ms; longer for one that is allocated as a whole. */
const CREATE_MS = 60_000;
/** The same for a directory, ms. */
const MAKE_MS = 20_000;
const ALLOCATE_BYTES_PER_MS = 20_000;

/**
 * Makes an empty file that did not exist (`$1`), for vmferry's user alone, has qemu-img (`$4` and on) write the
 * image to it, and gives it to its owner (`$2`, if any) with its mode (`$3`). Removes it where that fails.
 * Another user may own the directory, and put a link in its place: only the open file gets owner and mode.
 */
const CREATE = `
umask 077
file=$1 owner=$2 mode=$3
shift 3
set -C
exec 9>"$file" || exit 1
set +C
"$@" 9>&- && { [ -z "$owner" ] || chown "$owner" /proc/self/fd/9; } && chmod "$mode" /proc/self/fd/9 ||
  { rm -f -- "$file"; exit 1; }
if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null; then restorecon -- "$file"; fi
`;

/**
 * Makes a directory (`$1`) that did not exist. Where QEMU makes its own files in it, it belongs to QEMU's user
 * (`$2`).
 */
const MAKE_DIRECTORY = `
mkdir -m 0755 -- "$1" || exit 1
[ -z "$2" ] || chown -h "$2" -- "$1" || { rmdir -- "$1"; exit 1; }
`;

/** A command failed and has left nothing: what lies at its path is another program's. */
class NothingMade extends CommandError {}

/**
 * Creates them. What a failure leaves is in the record.
 *
 * @throws {MigrationError} kind `refused`.
 * @throws the signal's reason when that is aborted.
 */
export async function createAll(
  host: LaunchHost,
  recorded: Recorded,
  plan: LaunchPlan,
  signal: AbortSignal,
): Promise<void> {
  const { params: { images, directories }, owner } = plan;
  const own = new Set(directories);
  try {
    await recorded.write();
    await refuseRivals(recorded);
    for (const { kind, path } of recorded.current.made) {
      if (kind === "copy" || kind === "by-qemu") continue;
      signal.throwIfAborted();
      await recorded.writeMade(path, { begunAt: host.wallMs() });
      try {
        if (kind === "directory") {
          const user = own.has(path) ? ownerText(owner) : "";
          await make(host.run, ["sh", "-c", MAKE_DIRECTORY, "sh", path, user]);
        } else if (kind === "image") {
          await createImage(host, images.find((image) => image.path === path)!, owner);
        } else {
          await createEmpty(host, path);
        }
      } catch (error) {
        const cause = error instanceof MigrationError ? error.cause : error;
        if (cause instanceof NothingMade) await recorded.writeMade(path, { begunAt: null });
        throw error;
      }
      await recordIdentity(host, recorded, path);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MigrationError) throw error;
    if (!(error instanceof CommandError)) throw asMigrationError(error, "destination");
    throw notCreated(messageOf(error), error);
  }
}

/**
 * Two launches may have found the path of the QMP socket free at once. The later QEMU would take the socket
 * away from the earlier one, and a vmferry would migrate to the wrong QEMU.
 */
async function refuseRivals(recorded: Recorded): Promise<void> {
  const [rival] = await recorded.rivals();
  if (rival === undefined) return;
  const message =
    `Another launch under way at the destination (migration ${rival}) makes the QMP ` +
    `socket ${recorded.current.qmp}. Wait for its end, or give another path with --map`;
  throw new MigrationError("refused", "socket-in-use", "destination", message);
}

/** Writes down what distinguishes the new file from another one with its path. */
export async function recordIdentity(
  host: LaunchHost,
  recorded: Recorded,
  path: string,
  at: string = path,
): Promise<void> {
  const [look] = await lookAt(host.run, [at]);
  await recorded.writeMade(path, { identity: look!.identity });
}

/** Runs a script that removes what it has made when it fails. */
async function make(run: RunProgram, argv: readonly string[], timeoutMs = MAKE_MS): Promise<void> {
  const { code, stderr } = await run(argv, { timeoutMs });
  if (code === 0) return;
  const words = stderr.trim() || `sh ended with exit code ${code}`;
  // After a signal the script has removed nothing.
  throw code < 128 ? new NothingMade(words) : new CommandError(words);
}

/** Reserves the path of a log or pid file: another launch of a guest with this name may have chosen it, too. */
async function createEmpty({ createFile }: LaunchHost, path: string): Promise<void> {
  try {
    (await createFile(path)).close();
  } catch (error) {
    throw new NothingMade(`${path} cannot be created: ${messageOf(error)}`, { cause: error });
  }
}

async function createImage(
  { run }: LaunchHost,
  image: LaunchImage,
  owner: Owner | null,
): Promise<void> {
  const { path, sizeBytes, mode, allocated } = image;
  const script = ["sh", "-c", CREATE, "sh", path, ownerText(owner), octal(mode)];
  const ms = CREATE_MS + (allocated ? sizeBytes / ALLOCATE_BYTES_PER_MS : 0);
  try {
    await make(run, [...script, ...imageCommand(image)], ms);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw notCreated(`${path} cannot be created: ${error.message}`, error);
  }
}

/** As chown takes it; empty for vmferry's own user. */
export function ownerText(owner: Owner | null): string {
  return owner === null ? "" : `${owner.uid}:${owner.gid}`;
}

/** As chmod takes it. */
export function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

function notCreated(message: string, cause: unknown): MigrationError {
  return new MigrationError("refused", "image-not-created", "destination", message, { cause });
}
