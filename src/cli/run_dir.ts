import type { RunDir, Side } from "../migrate/mod.ts";
import { checkBase, PREFIX, runBase } from "./run_base.ts";
import { giveTo, type SocketOwner } from "./socket_owner.ts";
import { UsageError } from "./usage_error.ts";

/** Longest path of a UNIX socket, bytes (sun_path without its end). */
const MAX_SOCKET_PATH = 107;
/** Longest name that is made in it. */
const LONGEST_NAME = "control.sock";
/** The folder in it for the sockets of a QEMU that runs as another user, who owns it. */
const QEMU = "qemu";

/** A folder of mode 0700 for one run's sockets; removed with all that is in it when disposed. */
export class PrivateRunDir implements RunDir, AsyncDisposable {
  readonly #path: string;
  /** Where the sockets between QEMU and us lie. */
  readonly #sockets: string;
  readonly #madeBase: string | undefined;
  #kept = false;

  /** The one of a process that was killed, taken over with all that is in it. */
  static adopt(path: string): PrivateRunDir {
    let apart = false;
    try {
      apart = Deno.lstatSync(`${path}/${QEMU}`).isDirectory;
    } catch {
      // It has none.
    }
    return new PrivateRunDir(path, apart ? `${path}/${QEMU}` : path, undefined);
  }

  /**
   * Makes one in {@link runBase}.
   *
   * @param side whose sockets they are: at the destination QEMU makes them, at the source we do.
   * @param owner whom the sockets that QEMU uses are for: they get a folder of their own in it, which is
   * his where he has to make them; the folders above it let others pass, but not look.
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
      const madeBase = await makeFolder(absolute);
      // Somebody else may have made it meanwhile.
      if (!madeBase) await checkBase(absolute);
      const path = await makeRunFolder(absolute);
      const sockets = owner ? `${path}/${QEMU}` : path;
      const dir = new PrivateRunDir(path, sockets, madeBase ? absolute : undefined);
      if (owner) {
        try {
          if (base === undefined) await Deno.chmod(absolute, 0o711);
          await Deno.chmod(path, 0o711);
          await Deno.mkdir(sockets, { mode: 0o700 });
          if (side === "destination") await giveTo(sockets, owner);
          else await Deno.chmod(sockets, 0o711);
        } catch (error) {
          await dir[Symbol.asyncDispose]();
          throw error;
        }
      }
      return dir;
    } catch (error) {
      if (error instanceof UsageError) throw error;
      throw new UsageError(
        `--run-dir: can't make a folder in ${absolute}: ${(error as Error).message}`,
      );
    }
  }

  private constructor(path: string, sockets: string, madeBase: string | undefined) {
    this.#path = path;
    this.#sockets = sockets;
    this.#madeBase = madeBase;
  }

  /** The folder itself. */
  get folder(): string {
    return this.#path;
  }

  /** Where a socket between QEMU and us lies. */
  path(name: string): string {
    return `${this.#sockets}/${name}`;
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
    if (this.#kept) return;
    await Deno.remove(this.#path, { recursive: true }).catch(() => {});
    // Another run may be using it by now.
    if (this.#madeBase) await Deno.remove(this.#madeBase).catch(() => {});
  }
}

/** Makes a folder for a run. How long its name is, is reckoned with: makeTempDir has it as it likes. */
async function makeRunFolder(base: string): Promise<string> {
  const path = `${base}/${PREFIX}${crypto.randomUUID().slice(0, 8)}`;
  await Deno.mkdir(path, { mode: 0o700 });
  return path;
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
