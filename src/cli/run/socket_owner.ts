import { lchown } from "node:fs/promises";
import type { Acceptor } from "../../io/mod.ts";
import { listenUnix } from "../../transport/mod.ts";
import { UsageError } from "../args/usage_error.ts";

/** Whom sockets are given to: the user that QEMU runs as. */
export interface SocketOwner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Finds the `USER[:GROUP]` of `--socket-owner`, names or numbers; without a group it is the user's own.
 *
 * @throws {UsageError} when there is no such user or group in /etc/passwd or /etc/group.
 */
export async function ownerFrom(
  { socketOwner: text }: { readonly socketOwner: string | undefined },
): Promise<SocketOwner | undefined> {
  if (text === undefined) return undefined;
  const passwd = await Deno.readTextFile("/etc/passwd").catch(() => "");
  const group = await Deno.readTextFile("/etc/group").catch(() => "");
  return ownerOf(text, passwd, group);
}

/** The same, from the texts of both files (passwd(5), group(5)). Pure. */
export function ownerOf(text: string, passwd: string, group: string): SocketOwner {
  const [user = "", groupName, ...more] = text.split(":");
  if (user === "" || groupName === "" || more.length > 0) {
    throw new UsageError(`--socket-owner: got "${text}", expected USER or USER:GROUP`);
  }
  const entry = fieldsOf(passwd, user, 2);
  const uid = /^\d+$/.test(user) ? Number(user) : Number(entry?.[2] ?? NaN);
  if (Number.isNaN(uid)) {
    throw new UsageError(
      `--socket-owner: there is no user "${user}" in /etc/passwd; give a number`,
    );
  }
  if (groupName === undefined) {
    const gid = Number(entry?.[3] ?? NaN);
    if (Number.isNaN(gid)) throw new UsageError(`--socket-owner: give a group, ${user}:GROUP`);
    return { uid, gid };
  }
  const gid = /^\d+$/.test(groupName)
    ? Number(groupName)
    : Number(fieldsOf(group, groupName, 2)?.[2] ?? NaN);
  if (Number.isNaN(gid)) {
    throw new UsageError(`--socket-owner: there is no group "${groupName}" in /etc/group`);
  }
  return { uid, gid };
}

/** The line whose first field, or whose number, is `name`. */
function fieldsOf(file: string, name: string, number: number): string[] | undefined {
  const lines = file.split("\n").map((line) => line.split(":"));
  return lines.find((f) => f[0] === name) ??
    lines.find((f) => /^\d+$/.test(name) && f[number] === name);
}

/**
 * Gives a socket or a folder away; a link that somebody has put in its place, not what it leads to.
 *
 * @throws {UsageError} when this user may not, which only root may.
 */
export async function giveTo(path: string, owner: SocketOwner): Promise<void> {
  try {
    await lchown(path, owner.uid, owner.gid);
  } catch (error) {
    throw new UsageError(
      `--socket-owner: can't give ${path} to ${owner.uid}:${owner.gid}, which takes root: ` +
        (error as Error).message,
    );
  }
}

/** Listens on a UNIX socket that only its owner may use: `owner`, else this user. */
export async function listenFor(path: string, owner: SocketOwner | undefined): Promise<Acceptor> {
  const acceptor = await listenUnix(path);
  try {
    if (owner) await giveTo(path, owner);
    return acceptor;
  } catch (error) {
    acceptor.close();
    throw error;
  }
}
