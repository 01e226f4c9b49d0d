/**
 * Commands of a host, and its files as those commands see them: vmferry itself may not look into /dev.
 *
 * @module
 */
import type { ProgramResult, RunProgram } from "./program.ts";

/** How long a command that only looks at files or changes a few may take, ms. */
const COMMAND_MS = 60_000;

/** A command of the host failed. */
export class CommandError extends Error {
  /** The class, also in a bundle. */
  override name = "CommandError";
}

/**
 * Runs a command and returns what it prints.
 *
 * @throws {CommandError} with the command's own words when it fails.
 * @throws as `RunProgram`.
 */
export async function command(
  run: RunProgram,
  argv: readonly string[],
  timeoutMs: number = COMMAND_MS,
): Promise<string> {
  const result = await run(argv, { timeoutMs });
  if (result.code !== 0) throw new CommandError(wordsOf(argv, result));
  return result.stdout;
}

function wordsOf(argv: readonly string[], { code, stderr }: ProgramResult): string {
  return stderr.trim() || `${argv[0]} ended with exit code ${code}`;
}

/** A path of the host. */
export interface PathFacts {
  /** `other`: a directory, a socket, or a link to nothing. */
  readonly state: "missing" | "file" | "block" | "other";
  /** This user may not look there: `state` is not certain. */
  readonly hidden: boolean;
  /** Length of a file, bytes; `null` for anything else. */
  readonly bytes: number | null;
  /**
   * Device, inode and birth, which another file with this path does not have; those of a symbolic link
   * itself, which vmferry does not make.
   */
  readonly identity: string | null;
  /** When it was made, ms since 1970; `null` where the file system does not say. */
  readonly bornAt: number | null;
  /** When a file was last written to, ms since 1970, in whole seconds; `null` for anything else. */
  readonly changedAt: number | null;
  /** The directory that it lies in, or would, exists. */
  readonly directory: boolean;
  /** Bytes that this host's users may still write to its file system; `null` where unknown. */
  readonly freeBytes: number | null;
}

/**
 * Prints one line a path: state, hidden, size, device with inode, birth and change, directory, free
 * bytes; separated by tabs. Where something is missing, the nearest directory above says how much is free, and whether this
 * user may look there at all.
 */
const LOOK = `
for path do
  state=missing hidden=0 size= id='- - 0 0' directory=0 free=
  [ -d "\${path%/*}/" ] && directory=1
  if [ -e "$path" ]; then
    state=other
    [ -f "$path" ] && state=file
    [ -b "$path" ] && state=block
    size=$(stat -L -c %s -- "$path")
    id="$(stat -c '%d %i %W' -- "$path") $(stat -L -c %Y -- "$path")"
  elif [ -L "$path" ]; then
    state=other
  fi
  at=\${path%/*}
  while [ -n "$at" ] && ! [ -d "$at" ]; do at=\${at%/*}; done
  [ "$state" = missing ] && [ -n "$at" ] && ! [ -x "$at" ] && hidden=1
  free=$(stat -f -c '%a %S' -- "\${at:-/}")
  printf '%s\\t%s\\t%s\\t%s\\t%s\\t%s\\n' "$state" "$hidden" "$size" "$id" "$directory" "$free"
done
`;

/** Looks at paths, in their order. */
export async function lookAt(run: RunProgram, paths: readonly string[]): Promise<PathFacts[]> {
  if (paths.length === 0) return [];
  const text = await command(run, ["sh", "-c", LOOK, "sh", ...paths]);
  const lines = text.split("\n");
  return paths.map((path, i) => parseLook(lines[i] ?? "", path));
}

function parseLook(line: string, path: string): PathFacts {
  const [state = "", hidden, size = "", id = "", directory, free = ""] = line.split("\t");
  if (state !== "missing" && state !== "file" && state !== "block" && state !== "other") {
    throw new CommandError(`The look at ${path} printed "${line}"`);
  }
  const [device = "-", inode = "-", birth = "0", changed = "0"] = id.split(" ");
  const [blocks, blockBytes] = free.split(" ").map(Number);
  const exists = state !== "missing";
  const born = Number(birth);
  const change = Number(changed);
  return {
    state,
    hidden: hidden === "1",
    bytes: state === "file" ? Number(size) : null,
    identity: exists && inode !== "-" ? `${device} ${inode} ${birth}` : null,
    bornAt: exists && born > 0 ? born * 1000 : null,
    changedAt: state === "file" && change > 0 ? change * 1000 : null,
    directory: directory === "1",
    freeBytes: blocks !== undefined && blockBytes !== undefined ? blocks * blockBytes : null,
  };
}

/** The directory of an absolute path. */
export function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/** The last name of a path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
