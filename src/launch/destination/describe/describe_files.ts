/**
 * Answers `describeLaunchFiles`: the destination's side of a guest's files. Changes nothing.
 *
 * @module
 */
import { messageOf } from "../../../io/mod.ts";
import {
  command,
  CommandError,
  fileUsers,
  imageInfoArguments,
  isPlainPath,
  lookAt,
  parseImageInfo,
  type PathFacts,
  type RunProgram,
} from "../../../host/mod.ts";
import { fileKeys, type HostFacts } from "../../../migrate/mod.ts";
import type { LaunchFile, LaunchFileFacts, Params, Result } from "../../../rpc/mod.ts";
import { afterUndo, launchUsers } from "../rules/other_launches.ts";
import { createRefusal, type Places, resolvePaths } from "../rules/allow.ts";
import type { LaunchHost } from "../host.ts";
import type { LaunchTrust } from "../options.ts";
import type { LaunchJournal } from "../record.ts";

/** How long a look into one image may take, ms. */
const LOOK_MS = 10_000;
/** The slowest disk whose files are compared, bytes per ms; a hash may take longer by {@link LOOK_MS}. */
const HASH_BYTES_PER_MS = 10_000;
/** Most names of storage in an answer. */
const MAX_KEYS = 64;

/** What is known of an image. */
export interface ImageContents {
  readonly format: string | null;
  /** Virtual size, bytes. */
  readonly sizeBytes: number | null;
  /** Another process has locked it. */
  readonly locked: boolean;
  readonly problem: string | null;
}

/** Describes the files, in the order of the request, once no other launch removes them. */
export async function describeLaunchFiles(
  host: LaunchHost,
  trust: LaunchTrust,
  journal: Pick<LaunchJournal, "others">,
  { files }: Params<"describeLaunchFiles">,
): Promise<Result<"describeLaunchFiles">> {
  const fit = files.filter(({ path }) => isPlainPath(path));
  const paths = fit.map(({ path }) => path);
  await afterUndo(journal, host.clock, paths);
  const launches = launchUsers(await journal.others(), paths);
  const { run } = host;
  const [looks, access, known, users, places] = await Promise.all([
    lookAt(run, paths),
    accessTo(run, paths),
    host.describeHost(paths),
    fileUsers(run, paths),
    resolvePaths(host, paths),
  ]);
  const facts: LaunchFileFacts[] = [];
  for (const file of files) {
    const i = fit.indexOf(file);
    facts.push(
      i < 0 ? unfit(file) : await describe(host, trust, file, {
        ...{ look: looks[i]!, access: access[i]!, user: users[i] ?? launches[i] ?? null },
        ...{ known, i, places },
      }),
    );
  }
  return { files: facts };
}

interface Known {
  readonly look: PathFacts;
  readonly access: Access;
  readonly user: string | null;
  readonly known: HostFacts;
  readonly i: number;
  readonly places: Places;
}

async function describe(
  { run }: LaunchHost,
  trust: LaunchTrust,
  file: LaunchFile,
  { look, access, user, known, i, places }: Known,
): Promise<LaunchFileFacts> {
  const behind = known.files[i];
  const { keys, beneath } = behind ? fileKeys(behind, known.bootId) : { keys: [], beneath: [] };
  const isMissing = look.state === "missing" && !look.hidden;
  const isImage = file.format !== "" && (look.state === "file" || look.state === "block");
  const contents = isImage ? await contentsOf(run, file.path, look) : NOTHING;
  const hidden = look.hidden ? `This user may not enter the directory of ${file.path}` : null;
  const refused = isWritten(file, isMissing)
    ? createRefusal(trust, file.path, places) ?? null
    : null;
  return {
    name: file.name,
    state: access.isDirectory ? "directory" : look.hidden ? "other" : look.state,
    sizeBytes: contents.sizeBytes,
    fileBytes: look.bytes ?? access.deviceBytes,
    format: contents.format,
    sha256: await sha256Of(run, file, look),
    keys: keys.slice(0, MAX_KEYS),
    beneath: beneath.slice(0, MAX_KEYS),
    usedBy: user ?? (contents.locked ? "a process that has locked it, such as a QEMU" : null),
    directory: look.directory,
    writable: access.writable && refused === null,
    freeBytes: look.freeBytes,
    problem: hidden ?? refused ?? contents.problem,
  };
}

/** A missing file that the source does not send is QEMU's to make: `prepareLaunch` judges its place. */
function isWritten({ role, sha256 }: LaunchFile, isMissing: boolean): boolean {
  return role !== "read-only" || isMissing && sha256 !== null;
}

const NOTHING: ImageContents = { format: null, sizeBytes: null, locked: false, problem: null };

function unfit({ name, path }: LaunchFile): LaunchFileFacts {
  return {
    ...{ name, state: "other", sizeBytes: null, fileBytes: null, format: null, sha256: null },
    ...{ keys: [], beneath: [], usedBy: null, directory: false, writable: false, freeBytes: null },
    problem: `"${path}" is no absolute path without "..". Give one with --map or --disk`,
  };
}

/**
 * Looks into an image. Without `-U`, qemu-img fails where a QEMU writes to it; with `-U`, it then does not.
 * The format is what its content looks like: a raw image whose guest wrote a header of another format
 * differs from what the source says, and the launch is refused.
 */
export async function contentsOf(
  run: RunProgram,
  path: string,
  look: PathFacts,
): Promise<ImageContents> {
  if (look.state === "missing") return NOTHING;
  const argv = imageInfoArguments(path, null);
  try {
    const alone = await run(argv.filter((word) => word !== "-U"), { timeoutMs: LOOK_MS });
    const text = alone.code === 0 ? alone.stdout : await command(run, argv, LOOK_MS);
    const { format, virtualSize } = parseImageInfo(text);
    return { format, sizeBytes: virtualSize, locked: alone.code !== 0, problem: null };
  } catch (error) {
    return { ...NOTHING, problem: messageOf(error) };
  }
}

/** The file's hash, where the request has one and the lengths are equal. */
async function sha256Of(
  run: RunProgram,
  { path, sha256, sizeBytes }: LaunchFile,
  look: PathFacts,
): Promise<string | null> {
  if (sha256 === null || look.state !== "file" || look.bytes === null) return null;
  if (sizeBytes !== null && sizeBytes !== look.bytes) return null;
  return await hashOf(run, path, look.bytes).catch((error) => {
    if (error instanceof CommandError) return null;
    throw error;
  });
}

/**
 * The SHA-256 of a file, in hexadecimal digits. A larger file may take longer.
 *
 * @throws {CommandError} when it cannot be read.
 */
export async function hashOf(run: RunProgram, path: string, bytes: number): Promise<string> {
  // From standard input: with a name, sha256sum escapes its line.
  const argv = ["sh", "-c", 'exec sha256sum <"$1"', "sh", path];
  const text = await command(run, argv, LOOK_MS + bytes / HASH_BYTES_PER_MS);
  return text.slice(0, 64);
}

interface Access {
  readonly isDirectory: boolean;
  readonly writable: boolean;
  /** Length of a block device; `null` for anything else. */
  readonly deviceBytes: number | null;
}

/** Prints one line a path: whether it is a directory, whether it can be written to or created, bytes of a device. */
const ACCESS = `
for path do
  directory=0 writable=0 bytes=
  [ -d "$path" ] && directory=1
  if [ -e "$path" ] || [ -L "$path" ]; then
    [ -w "$path" ] && writable=1
    [ -b "$path" ] && bytes=$(blockdev --getsize64 "$path" 2>/dev/null)
  else
    at=\${path%/*}
    while [ -n "$at" ] && ! [ -e "$at" ] && ! [ -L "$at" ]; do at=\${at%/*}; done
    [ -d "\${at:-/}" ] && [ -w "\${at:-/}" ] && [ -x "\${at:-/}" ] && writable=1
  fi
  printf '%s\\t%s\\t%s\\n' "$directory" "$writable" "$bytes"
done
`;

async function accessTo(run: RunProgram, paths: readonly string[]): Promise<Access[]> {
  if (paths.length === 0) return [];
  const text = await command(run, ["sh", "-c", ACCESS, "sh", ...paths]);
  const lines = text.split("\n");
  return paths.map((_, i) => {
    const [directory, writable, bytes = ""] = (lines[i] ?? "").split("\t");
    return {
      isDirectory: directory === "1",
      writable: writable === "1",
      deviceBytes: bytes === "" ? null : Number(bytes),
    };
  });
}
