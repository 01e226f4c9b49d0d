/**
 * Whether a directory can hold sockets and journals: another user who can write to any directory on
 * the way to it could replace it, and so have vmferry and QEMU use files of theirs.
 *
 * @module
 */
import { UsageError } from "../args/usage_error.ts";
import { isOurs, octal } from "../endpoint/trusted.ts";

/** Mode bits: the group or others may write. */
const OTHERS_WRITE = 0o022;
/** Mode bit of a directory in which nobody may rename or remove what belongs to another. */
const STICKY = 0o1000;
/** Symbolic links that are followed, as many as Linux follows. */
const MOST_LINKS = 40;

/**
 * Checks every directory from the root down to `path`, through every symbolic link on the way: each
 * belongs to this user or root, and only its owner can write to it unless it is sticky. Stops at the
 * first name that does not exist.
 *
 * @param path from the root.
 * @param what the argument that errors name, such as `--run-dir`.
 * @throws {UsageError} that names the directory and its owner or mode.
 */
export async function checkDirectory(path: string, what: string): Promise<void> {
  const names = path.split("/").reverse();
  let at = "";
  for (let links = 0; names.length > 0;) {
    const name = names.pop()!;
    if (name === ".") continue;
    if (name === "..") {
      at = at.slice(0, Math.max(0, at.lastIndexOf("/")));
      continue;
    }
    const next = name === "" ? at : `${at}/${name}`;
    const info = await Deno.lstat(next || "/").catch(() => undefined);
    if (!info) return; // Its user reports why it cannot be used.
    if (!info.isSymlink) {
      if (info.isDirectory) check(next || "/", info, what);
      at = next;
      continue;
    }
    if (!isOurs(info)) throw refused(next, `is a link of another user (${info.uid})`, what);
    if (++links > MOST_LINKS) return;
    const target = await Deno.readLink(next);
    if (target.startsWith("/")) at = "";
    names.push(...target.split("/").reverse());
  }
}

function check(dir: string, info: Deno.FileInfo, what: string): void {
  if (!isOurs(info)) throw refused(dir, `belongs to another user (${info.uid})`, what);
  const mode = info.mode ?? 0;
  if ((mode & OTHERS_WRITE) === 0 || (mode & STICKY) !== 0) return;
  throw refused(dir, `has mode ${octal(mode)}, so that other users can write to it`, what);
}

function refused(path: string, why: string, what: string): UsageError {
  return new UsageError(
    `${what}: ${path} ${why}; expected a directory that only you or root can write to`,
  );
}
