/**
 * Creates the directories and images of a launch, each effect after a record in the journal.
 *
 * @module
 */
import { messageOf } from "../../../io/mod.ts";
import { CommandError, createImageFile, lookAt, NothingMade, runMaker } from "../../../host/mod.ts";
import { asMigrationError, MigrationError } from "../../../migrate/mod.ts";
import type { LaunchImage } from "../../../rpc/mod.ts";
import type { LaunchHost } from "../host.ts";
import { refuseOthers } from "../rules/other_launches.ts";
import type { Owner } from "../rules/owner.ts";
import type { LaunchPlan } from "../plan.ts";
import type { Recorded } from "../recorded.ts";

/** How long a directory may take to be made, ms. */
const MAKE_MS = 20_000;

/**
 * Makes a directory (`$1`) that did not exist. Where QEMU makes its own files in it, it belongs to QEMU's user
 * (`$2`). Prints `shared` where another launch of this user has made it at the same moment.
 */
const MAKE_DIRECTORY = `
words=$(mkdir -m 0755 -- "$1" 2>&1) || {
  if [ -d "$1" ] && ! [ -L "$1" ] && { [ -O "$1" ] || [ "$(stat -c %u:%g -- "$1")" = "$2" ]; }
  then echo shared; exit 0
  fi
  echo "$words" >&2
  exit 1
}
[ -z "$2" ] || chown -h "$2" -- "$1" || { rmdir -- "$1"; exit 1; }
`;

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
    refuseOthers(await recorded.others(), recorded.current);
    for (const { kind, path } of recorded.current.made) {
      if (kind === "copy" || kind === "by-qemu") continue;
      signal.throwIfAborted();
      await recorded.writeMade(path, { begunAt: host.wallMs() });
      try {
        if (kind === "directory") {
          const user = own.has(path) ? ownerText(owner) : "";
          const argv = ["sh", "-c", MAKE_DIRECTORY, "sh", path, user];
          if ((await runMaker(host.run, argv, signal, MAKE_MS)).startsWith("shared")) {
            await recorded.writeMade(path, { begunAt: null });
            continue;
          }
        } else if (kind === "image") {
          await createImage(host, images.find((image) => image.path === path)!, owner, signal);
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
  signal: AbortSignal,
): Promise<void> {
  try {
    await createImageFile(run, image, ownerText(owner), signal);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw notCreated(`${image.path} cannot be created: ${error.message}`, error);
  }
}

/** As chown takes it; empty for vmferry's own user. */
export function ownerText(owner: Owner | null): string {
  return owner === null ? "" : `${owner.uid}:${owner.gid}`;
}

function notCreated(message: string, cause: unknown): MigrationError {
  return new MigrationError("refused", "image-not-created", "destination", message, { cause });
}
