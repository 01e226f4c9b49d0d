import type { RunDir, Side } from "../../migrate/mod.ts";
import { DirectoryLock } from "./dir_lock.ts";
import { checkBase, letPass, PREFIX, removeBase, runBase } from "./base.ts";
import { giveTo, type SocketOwner } from "./socket_owner.ts";
import { UsageError } from "../args/usage_error.ts";

/** Longest path of a UNIX socket, bytes (sun_path without its end). */
const MAX_SOCKET_PATH = 107;
/** Longest name that is made in it. */
const LONGEST_NAME = "control.sock";
/** The directory in it for the sockets of a QEMU that runs as another user, who owns it. */
export const QEMU = "qemu";
/** The directory of the socket that the source's QEMU makes for a comparison of storage. */
export const COMPARE = "nbd";
/** How often a directory is made anew that was taken away before it was held. */
const TRIES = 10;

/** A directory of mode 0700 for one run's sockets; removed with all that is in it when disposed. */
export class PrivateRunDir implements RunDir, AsyncDisposable {
  readonly #path: string;
  /** Where the sockets between QEMU and us lie. */
  readonly #sockets: string;
  readonly #madeBase: boolean;
  /** From before anything is in it. What was taken over has a journal, which nobody takes away. */
  readonly #hold: DirectoryLock | undefined;
  #kept = false;

  /** The one of a process that was killed, taken over with all that is in it. */
  static adopt(path: string): PrivateRunDir {
    return new PrivateRunDir(path, isFolder(`${path}/${QEMU}`) ? `${path}/${QEMU}` : path, false);
  }

  /**
   * Makes one in {@link runBase}.
   *
   * @param side whose sockets they are: QEMU makes those of the destination, we make most of the source's.
   * @param owner whom the sockets that QEMU uses are for: they get a directory of their own in it, which is
   * theirs where they have to make them; the directories above it let others pass, but not look.
   * @throws {UsageError} when it can't be made there or its path leaves no room for a socket's name.
   */
  static async make(
    base: string | undefined,
    side: Side,
    owner?: SocketOwner,
  ): Promise<PrivateRunDir> {
    const absolute = runBase(base);
    const length =
      new TextEncoder().encode(`${absolute}/run-xxxxxxxx/${owner ? QEMU : ""}/${LONGEST_NAME}`)
        .length;
    if (length > MAX_SOCKET_PATH) {
      throw new UsageError(
        `--run-dir: got "${absolute}", too long for the sockets in it: the path of a UNIX socket ` +
          `has ${MAX_SOCKET_PATH} bytes at most, this would take ${length}`,
      );
    }
    await checkBase(absolute);
    try {
      const { path, hold, madeBase } = await makeHeld(absolute);
      const sockets = owner ? `${path}/${QEMU}` : path;
      const dir = new PrivateRunDir(path, sockets, madeBase, hold);
      if (owner) {
        try {
          if (base === undefined) await letPass(absolute);
          await Deno.chmod(path, 0o711);
          await Deno.mkdir(sockets, { mode: 0o700 });
          if (side === "destination") await giveTo(sockets, owner);
          else {
            await Deno.chmod(sockets, 0o711);
            // One socket at the source is made by QEMU. Where it can make one, it could put something in the place
            // of ours.
            await Deno.mkdir(`${path}/${COMPARE}`, { mode: 0o700 });
            await giveTo(`${path}/${COMPARE}`, owner);
          }
        } catch (error) {
          await dir[Symbol.asyncDispose]();
          throw error;
        }
      }
      return dir;
    } catch (error) {
      if (error instanceof UsageError) throw error;
      throw new UsageError(
        `--run-dir: can't make a directory in ${absolute}: ${(error as Error).message}`,
      );
    }
  }

  private constructor(
    path: string,
    sockets: string,
    madeBase: boolean,
    hold?: DirectoryLock,
  ) {
    this.#path = path;
    this.#sockets = sockets;
    this.#madeBase = madeBase;
    this.#hold = hold;
  }

  /** The directory itself. */
  get directory(): string {
    return this.#path;
  }

  /** Where a socket between QEMU and us lies. */
  path(name: string): string {
    return `${this.#sockets}/${name}`;
  }

  /** Where a socket lies by which the disks are read before a migration; QEMU makes it. */
  get compareSocket(): string {
    const apart = `${this.#path}/${COMPARE}`;
    return `${isFolder(apart) ? apart : this.#sockets}/compare.sock`;
  }

  /** Where something of ours lies, which QEMU has nothing to do with. */
  own(name: string): string {
    return `${this.#path}/${name}`;
  }

  /** It stays when this is disposed: somebody will have to look at its journal. */
  keep(): void {
    this.#kept = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    using _ = this.#hold;
    if (this.#kept) return;
    await Deno.remove(this.#path, { recursive: true }).catch(() => {});
    await removeBase(this.#path.slice(0, this.#path.lastIndexOf("/")), this.#madeBase);
  }
}

function isFolder(path: string): boolean {
  try {
    return Deno.lstatSync(path).isDirectory;
  } catch {
    return false;
  }
}

interface Held {
  readonly path: string;
  readonly hold: DirectoryLock;
  /** The base was not there before. */
  readonly madeBase: boolean;
}

/**
 * Makes a directory for a run and takes hold of it. Until then it may be taken for one that a killed
 * process left, and its base for one that is not used any more: then they are made again.
 */
async function makeHeld(base: string): Promise<Held> {
  let madeBase = false;
  for (let tries = 1;; tries++) {
    if (await makeFolder(base)) madeBase = true;
    // Somebody else may have made it meanwhile.
    else await checkBase(base);
    // How long its name is, is reckoned with; makeTempDir has it as it likes.
    const path = `${base}/${PREFIX}${crypto.randomUUID().slice(0, 8)}`;
    try {
      await Deno.mkdir(path, { mode: 0o700 });
      return { path, hold: await DirectoryLock.take(path), madeBase };
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) || tries === TRIES) throw error;
    }
  }
}

/** @returns whether it was not there before. */
async function makeFolder(path: string): Promise<boolean> {
  try {
    await Deno.mkdir(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}
