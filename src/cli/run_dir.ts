import type { RunDir } from "../migrate/mod.ts";
import { absolutePath } from "./paths.ts";
import { giveTo, type SocketOwner } from "./socket_owner.ts";
import { UsageError } from "./usage_error.ts";

/** Longest path of a UNIX socket, bytes (sun_path without its end). */
const MAX_SOCKET_PATH = 107;
/** Longest name that is made in it. */
const LONGEST_NAME = "control.sock";
/** The folder in it for the sockets of a QEMU that runs as another user, who owns it. */
const QEMU = "qemu";

/** The folder that each run has its own in: `base`, else `$XDG_RUNTIME_DIR/vmferry`, else `/run/vmferry`. */
export function runBase(base: string | undefined): string {
  const runtime = Deno.env.get("XDG_RUNTIME_DIR");
  return absolutePath(base ?? (runtime ? `${runtime}/vmferry` : "/run/vmferry"));
}

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
   * @param owner whom the sockets that QEMU uses are for: they get a folder of his in it, and the
   * folders above it let others pass, but not look.
   * @throws {UsageError} when it can't be made there or its path leaves no room for a socket's name.
   */
  static async make(base: string | undefined, owner?: SocketOwner): Promise<PrivateRunDir> {
    const absolute = runBase(base);
    // What makeTempDir adds: a slash, the prefix, eight characters.
    const length =
      new TextEncoder().encode(`${absolute}/run-xxxxxxxx/${owner ? QEMU : ""}/${LONGEST_NAME}`)
        .length;
    if (length > MAX_SOCKET_PATH) {
      throw new UsageError(
        `--run-dir: got "${absolute}", too long for the sockets in it: the path of a UNIX socket ` +
          `has ${MAX_SOCKET_PATH} bytes at most, this would take ${length}`,
      );
    }
    // Deno keeps a program with less than all permissions from files there.
    if (/^\/(dev|proc|sys)\//.test(`${absolute}/`)) {
      throw new UsageError(
        `--run-dir: got "${absolute}", where vmferry can't make a folder for its files: expected one ` +
          `outside of /dev, /proc and /sys`,
      );
    }
    try {
      const madeBase = await makeFolder(absolute);
      const path = await Deno.makeTempDir({ dir: absolute, prefix: "run-" });
      const sockets = owner ? `${path}/${QEMU}` : path;
      const dir = new PrivateRunDir(path, sockets, madeBase ? absolute : undefined);
      if (owner) {
        try {
          if (base === undefined) await Deno.chmod(absolute, 0o711);
          await Deno.chmod(path, 0o711);
          await Deno.mkdir(sockets, { mode: 0o700 });
          await giveTo(sockets, owner);
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
