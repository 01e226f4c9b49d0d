/**
 * Whose files count: this user's own and root's. What another user can write to, or put in the place of
 * what is there, decides nothing here.
 *
 * @module
 */
import { UsageError } from "../args/usage_error.ts";

/** Others may write to it. */
const OTHERS_WRITE = 0o022;
/** In a folder: nobody may rename or remove what is another's (sticky). */
const STICKY = 0o1000;

/** Whether a file of that user is this user's own or root's. */
export function isOurs({ uid }: Pick<Deno.FileInfo, "uid">): boolean {
  return uid === null || uid === 0 || uid === Deno.uid();
}

/**
 * Makes sure that nobody else can put anything in the place of what is in a folder, or the folder itself
 * in the place of another; one that is not there yet is fine.
 *
 * @param what names the argument in errors, such as `--run-dir`.
 * @throws {UsageError} naming the folder and whose it is.
 */
export async function checkFolder(path: string, what: string): Promise<void> {
  for (const folder of [path, path.replace(/\/[^/]+\/*$/, "") || "/"]) {
    let info: Deno.FileInfo;
    try {
      info = await Deno.stat(folder);
    } catch {
      continue; // Whoever uses it says what is wrong with it.
    }
    const mode = info.mode ?? 0;
    const open = (mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0;
    if (isOurs(info) && !open) continue;
    const whose = isOurs(info)
      ? `has mode ${octal(mode)}, others can write to it`
      : `is another user's (${info.uid})`;
    throw new UsageError(
      `${what}: ${folder} ${whose}; expected a folder that only you or root can ` +
        "write to",
    );
  }
}

/** A file's mode as chmod takes it. */
export function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
