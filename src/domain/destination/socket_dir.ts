/**
 * The directory of QEMU's sockets: QEMU makes sockets in it, vmferry connects to them, and no other user
 * can do either.
 *
 * @module
 */
import { ownerOf } from "../../libvirt/mod.ts";
import { MigrationError } from "../../migrate/mod.ts";
import { command, directoryOf } from "../../host/mod.ts";
import { type DestinationHost } from "./host.ts";

/** The user that libvirt runs QEMU as, by numbers; `null`: as this user (a libvirt of the session). */
export type QemuOwner = { readonly uid: number; readonly gid: number } | null;

/** Where libvirt itself keeps the sockets of its QEMUs, and confinement lets QEMU reach them. */
const LIBVIRT_DIR = "/run/libvirt/qemu";
/** Where an ordinary user makes directories that QEMU reaches, too. */
const SHARED_DIR = "/tmp";
/** The last name of the directory, which the source chooses. */
const NAME = /^vmferry-[0-9a-f]{8,32}$/;

/**
 * The user of a domain with a label of its own.
 *
 * @param label `USER:GROUP`, names of this host or numbers.
 * @throws {MigrationError} kind `refused`, code `no-socket-directory`, where this host does not have them.
 */
export async function ownerOfLabel(
  run: SocketHost["run"],
  label: string,
): Promise<NonNullable<QemuOwner>> {
  const numbers = ownerOf(label);
  if (numbers) return numbers;
  const script = 'id -u -- "$1" && getent group "$2" | cut -d : -f 3';
  const [user = "", group = ""] = label.split(":");
  const { stdout } = await run(["sh", "-c", script, "sh", user, group], { timeoutMs: 5_000 });
  const [uid, gid] = stdout.trim().split("\n").map(Number);
  if (uid !== undefined && gid !== undefined) return { uid, gid };
  const message = `The domain's label (seclabel) is ${label}, and this host does not have that ` +
    "user and group. Create them, or give numbers such as +1000:+1000";
  throw new MigrationError("refused", "no-socket-directory", "destination", message);
}

/** The host as far as this needs it. */
export type SocketHost = Pick<DestinationHost, "run" | "user" | "runtimeDir">;

/**
 * The directories, best first, in which this user can make one.
 *
 * @throws {MigrationError} kind `refused`, code `no-socket-directory`, where there is none.
 */
export async function socketDirs(host: SocketHost, owner: QemuOwner): Promise<string[]> {
  const { user, runtimeDir, run } = host;
  if (owner === null || owner.uid === user.uid && user.uid !== 0) {
    const own = runtimeDir === undefined ? [] : [`${runtimeDir}/libvirt/qemu`];
    return [...own, SHARED_DIR];
  }
  // The source's user may be an ordinary one, and the path is the same on both hosts.
  if (user.uid === 0) return [LIBVIRT_DIR, SHARED_DIR];
  const found = await run(["sh", "-c", "command -v setfacl || exit 1"], { timeoutMs: 5_000 });
  if (found.code === 0) return [SHARED_DIR];
  const message =
    `QEMU runs as user ${owner.uid} of this host, and ${user.name} can share a directory ` +
    "with that user only by setfacl, which is not installed here. Install the package acl, or let " +
    "root run vmferry";
  throw new MigrationError("refused", "no-socket-directory", "destination", message);
}

/**
 * Whether a source may ask for this directory.
 *
 * @param parents what {@link socketDirs} gave.
 */
export function isSocketDir(path: string, parents: readonly string[]): boolean {
  const at = path.lastIndexOf("/");
  return parents.includes(path.slice(0, at)) && NAME.test(path.slice(at + 1));
}

/**
 * Makes the directory, which must not exist.
 *
 * @throws {CommandError} with the words of the command that failed.
 */
export async function makeSocketDir(
  { run, user }: SocketHost,
  path: string,
  owner: QemuOwner,
): Promise<void> {
  const parent = directoryOf(path);
  if (parent !== SHARED_DIR) await command(run, ["mkdir", "-p", "-m", "0755", parent]);
  await command(run, ["mkdir", "-m", "0700", path]);
  if (owner === null || owner.uid === user.uid) return;
  if (user.uid === 0) {
    await command(run, ["chown", "-h", `${owner.uid}:${owner.gid}`, path]);
    return;
  }
  // Either user can connect to the sockets that the other makes there.
  const both = [`u:${owner.uid}:rwx`, `d:u:${owner.uid}:rwx`, `d:u:${user.uid}:rwx`];
  await command(run, ["setfacl", "-m", `${both.join(",")},d:g::---,d:o::---`, path]);
}

/** Removes the directory with its sockets. Tolerates one that is gone. */
export async function removeSocketDir(run: DestinationHost["run"], path: string): Promise<void> {
  if (!NAME.test(path.slice(path.lastIndexOf("/") + 1))) {
    throw new Error(`${path} is no directory of vmferry`);
  }
  await command(run, ["rm", "-rf", "--", path]);
}
