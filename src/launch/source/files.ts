/**
 * The source's own files, as its host knows them.
 *
 * @module
 */
import { CommandError, type RunProgram } from "../../host/mod.ts";
import { type DescribeHost, fileKeys } from "../../migrate/mod.ts";
import type { PlannedFile, SourceFile } from "../plan/planned_file.ts";

/** How long a look at all files may take, ms. */
const LOOK_MS = 20_000;
/** How long the SHA-256 of one file may take at least, ms. */
const HASH_MS = 60_000;
/** The slowest disk whose files are read as a whole, bytes per ms. */
export const READ_BYTES_PER_MS = 10_000;

/** Prints a line a path: `file` or `other`, size, permission bits, allocated bytes; an empty one where missing. */
const LOOK = `
for path do
  kind=other
  [ -f "$path" ] && kind=file
  printf '%s %s\\n' "$kind" "$(stat -L -c '%s %a %b %B' -- "$path" 2>/dev/null)"
done
`;

/** What a look at files takes. */
export interface FileAccess {
  readonly run: RunProgram;
  readonly describeHost: DescribeHost;
  readonly signal: AbortSignal;
}

/** Looks at the files, in their order; `undefined` where one is missing or not reached. */
export async function lookAtFiles(
  files: readonly PlannedFile[],
  access: FileAccess,
): Promise<(SourceFile | undefined)[]> {
  const { run, describeHost, signal } = access;
  const paths = files.map(({ from }) => from);
  if (paths.length === 0) return [];
  const [looked, host] = await Promise.all([
    run(["sh", "-c", LOOK, "sh", ...paths], { timeoutMs: LOOK_MS, signal }),
    describeHost(paths),
  ]);
  if (looked.code !== 0) throw new CommandError(`The look at files: ${looked.stderr.trim()}`);
  const lines = looked.stdout.split("\n");
  const found: (SourceFile | undefined)[] = [];
  for (const [i, file] of files.entries()) {
    const [kind, ...numbers] = (lines[i] ?? "").trim().split(" ");
    const [size = "", mode = "", blocks = "", blockBytes = ""] = numbers;
    const facts = host.files[i];
    if (size === "") {
      found.push(undefined);
      continue;
    }
    const isFile = kind === "file";
    const hashed = isFile && (file.use === "content" || file.use === "base");
    found.push({
      isFile,
      sizeBytes: isFile ? Number(size) : null,
      allocatedBytes: isFile ? Number(blocks) * Number(blockBytes) : null,
      mode: parseInt(mode, 8) & 0o777,
      sha256: hashed ? await sha256(file.from, Number(size), access) : null,
      storage: facts ? fileKeys(facts, host.bootId) : { keys: [], beneath: [] },
    });
  }
  return found;
}

/** Prints the index of each name that is a file in directory `$1`. */
const FIND_NAMES = `
cd -- "$1" || exit 0
shift
i=0
for name do
  [ -f "./$name" ] && echo "$i"
  i=$((i + 1))
done
:
`;

/** Those of the names that are files in a directory. */
export async function filesIn(
  directory: string,
  names: readonly string[],
  { run, signal }: Pick<FileAccess, "run" | "signal">,
): Promise<ReadonlySet<string>> {
  if (names.length === 0) return new Set();
  const argv = ["sh", "-c", FIND_NAMES, "sh", directory, ...names];
  const { stdout } = await run(argv, { timeoutMs: LOOK_MS, signal });
  const found = stdout.split("\n").filter((line) => line !== "").map(Number);
  return new Set(names.filter((_, i) => found.includes(i)));
}

/** `null` where this user cannot read the file. */
async function sha256(
  path: string,
  bytes: number,
  { run, signal }: FileAccess,
): Promise<string | null> {
  const timeoutMs = HASH_MS + bytes / READ_BYTES_PER_MS;
  const { code, stdout } = await run(["sha256sum", "--", path], { timeoutMs, signal });
  // A name with a line end or backslash has a backslash before the digest.
  const digest = /^\\?([0-9a-f]{64}) /.exec(stdout)?.[1];
  return code === 0 ? digest ?? null : null;
}
