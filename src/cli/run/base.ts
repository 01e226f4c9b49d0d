import { absolutePath } from "../paths.ts";
import { checkDirectory } from "./trusted_dir.ts";
import { UsageError } from "../args/usage_error.ts";

/** What the name of each run's directory begins with. */
export const PREFIX = "run-";

/** The mode of a base that is made here, and where others must get at their sockets in it. */
const [MODE, PASSABLE] = [0o700, 0o711];
/** Where root's runs are. */
const IN_RUN = "/run/vmferry";

/** The directory that each run has its own in: `base`, else this user's default. */
export function runBase(base: string | undefined): string {
  return base === undefined ? defaultBase() : absolutePath(base);
}

/**
 * Root's is always the same: root by ssh, by sudo and from a unit is to find what one of them has begun,
 * and /run/user/0 goes away with the last login. Others have theirs in `$XDG_RUNTIME_DIR` where that is
 * theirs (su may leave another one's). A login without one, such as by ssh where systemd does not run, has
 * a directory in /tmp; nobody else may have made that, see {@link checkBase}.
 */
function defaultBase(): string {
  const uid = Deno.uid();
  if (uid === 0) return IN_RUN;
  const path = Deno.env.get("XDG_RUNTIME_DIR");
  try {
    if (path && Deno.statSync(path).uid === uid) return absolutePath(`${path}/vmferry`);
  } catch {
    // It does not exist.
  }
  return `/tmp/vmferry-run-${uid}`;
}

/**
 * Makes sure that no other user can replace a base or what it holds. A base that does not exist yet
 * passes if no other user can replace its parents.
 *
 * @throws {UsageError} saying why not.
 */
export async function checkBase(base: string): Promise<void> {
  // Deno keeps a program with less than all permissions from files there.
  if (/^\/(dev|proc|sys)\//.test(`${base}/`)) throw outOfReach(base);
  await checkDirectory(base, "--run-dir");
}

/**
 * The directories of this user's runs in a base; nobody else can look into his own ones, root's included.
 *
 * @throws {UsageError} when the base is no directory that can be used.
 */
export async function runFolders(base: string): Promise<string[]> {
  await checkBase(base);
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(base)) {
      if (!isDirectory || !name.startsWith(PREFIX)) continue;
      const path = `${base}/${name}`;
      const info = await Deno.lstat(path).catch(() => undefined);
      if (info?.isDirectory && info.uid === Deno.uid()) found.push(path);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw await unusable(base, error as Error);
  }
  return found;
}

/**
 * Removes a base that no run has its directory in any more: one that this run has made, and the default one,
 * whichever run made it. One that an administrator made, perhaps with a label, has another mode and stays.
 *
 * @param made this run has made it.
 */
export async function removeBase(base: string, made: boolean): Promise<void> {
  try {
    const mode = (await Deno.stat(base)).mode ?? 0;
    const isOurs = base === defaultBase() && [MODE, PASSABLE].includes(mode & 0o7777);
    if (made || isOurs) await Deno.remove(base);
  } catch {
    // Another run uses it, or has removed it.
  }
}

/** Lets others pass through a default base, but not look. */
export async function letPass(base: string): Promise<void> {
  const mode = (await Deno.stat(base)).mode ?? 0;
  if ((mode & 0o011) !== 0o011) await Deno.chmod(base, PASSABLE);
}

/** Why a base can't be looked into. */
async function unusable(base: string, error: Error): Promise<UsageError> {
  // A link that leads there.
  if (error instanceof Deno.errors.NotCapable) return outOfReach(base);
  if (error instanceof Deno.errors.NotADirectory) {
    return new UsageError(
      `--run-dir: got "${base}", which is no directory; expected a directory, or a name for a new one`,
    );
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    const uid = await Deno.stat(base).then((info) => info.uid, () => null);
    const whose = uid === null || uid === Deno.uid()
      ? "which is closed to you"
      : `which is another user's (${uid}) and closed to you`;
    return new UsageError(
      `--run-dir: got "${base}", ${whose}; expected a directory of yours: --run-dir DIR or ` +
        "XDG_RUNTIME_DIR chooses another",
    );
  }
  return new UsageError(`--run-dir: can't look into ${base}: ${error.message}`);
}

function outOfReach(base: string): UsageError {
  return new UsageError(
    `--run-dir: got "${base}", where vmferry can't make a directory for its files: expected one ` +
      `outside of /dev, /proc and /sys`,
  );
}
