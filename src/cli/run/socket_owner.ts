import { lchown } from "node:fs/promises";
import { type Acceptor, messageOf } from "../../io/mod.ts";
import { listenUnix } from "../../transport/mod.ts";
import { UsageError } from "../args/usage_error.ts";
import { FIND_QEMU } from "../host/find_qemu.ts";
import { runProgram } from "../host/run_program.ts";

/** Whom sockets are given to: the user that QEMU runs as. */
export interface SocketOwner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Finds the `USER[:GROUP]` of `--socket-owner`, names or numbers; without a group it is the user's own.
 *
 * @throws {UsageError} when this host knows no such user or group.
 */
export async function ownerFrom(
  { socketOwner: text }: { readonly socketOwner: string | undefined },
): Promise<SocketOwner | undefined> {
  return text === undefined ? undefined : await findOwner(text, lookUp);
}

/** Prints the user and group of each QEMU that serves the socket `$1`. */
const USERS = `
${FIND_QEMU}
for pid in $(find_pid); do
  sed -n 's/^[UG]id:[[:space:]]*[0-9]*[[:space:]]*\\([0-9]*\\).*/\\1/p' "/proc/$pid/status" | tr '\\n' ' '
  echo
done
`;

/** How long the look at all QEMUs may take, ms. */
const LOOK_MS = 10_000;

/**
 * The user that the QEMU behind a socket runs as, where it is another one than this process's and this
 * one is root. Where that QEMU is not found, the owner of the socket, which QEMU has made: with `-runas`,
 * QEMU has made it before it has changed its user.
 *
 * @throws {Error} when there is no such socket.
 */
export async function ownerOfQemu(path: string): Promise<SocketOwner | undefined> {
  try {
    const info = await Deno.stat(path);
    if (Deno.uid() !== 0 || info.uid === null || info.gid === null) return undefined;
    const { stdout } = await runProgram(["sh", "-c", USERS, "sh", path], { timeoutMs: LOOK_MS });
    const [found, ...more] = stdout.split("\n").filter((line) => line.trim() !== "");
    const [uid = info.uid, gid = info.gid] = found === undefined || more.length > 0
      ? []
      : found.trim().split(" ").map(Number);
    return uid === 0 ? undefined : { uid, gid };
  } catch (error) {
    throw new Error(`The QMP socket ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** What the host answers when it is asked for a number; `undefined` where it knows none. */
export type LookUp = (what: keyof typeof COMMANDS, name: string) => Promise<number | undefined>;

/** The same, with the host's answers given. Pure but for `ask`. */
export async function findOwner(text: string, ask: LookUp): Promise<SocketOwner> {
  const [user = "", group, ...more] = text.split(":");
  if (user === "" || group === "" || more.length > 0) {
    throw new UsageError(`--socket-owner: got "${text}", expected USER or USER:GROUP`);
  }
  const uid = numberOf(user) ?? await ask("user", user);
  if (uid === undefined) {
    throw new UsageError(`--socket-owner: this host has no user "${user}"; give a number`);
  }
  if (group === undefined) {
    const gid = await ask("groupOfUser", user);
    if (gid === undefined) throw new UsageError(`--socket-owner: give a group, ${user}:GROUP`);
    return { uid, gid };
  }
  const gid = numberOf(group) ?? await ask("group", group);
  if (gid === undefined) {
    throw new UsageError(`--socket-owner: this host has no group "${group}"; give a number`);
  }
  return { uid, gid };
}

/** What prints each number: id(1) and getent(1) ask LDAP and the like, too, which /etc/passwd lacks. */
const COMMANDS = {
  user: 'id -u -- "$1"',
  groupOfUser: 'id -g -- "$1"',
  group: 'getent group -- "$1" | cut -d : -f 3',
} as const;

const lookUp: LookUp = async (what, name) => {
  // A shell, because the built program may start nothing else (tools/permissions.txt).
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", COMMANDS[what], "sh", name],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  return numberOf(new TextDecoder().decode(stdout).trim());
};

function numberOf(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

/**
 * Gives a socket or a directory away. A symbolic link that replaced it changes owner itself, not its target.
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
