import { type BytePipe, delay, messageOf } from "../io/mod.ts";
import type { CopyHost, TiedProgram } from "./host.ts";
import { LOCKED } from "./locks.ts";

/** How long qemu-nbd may take to open an image and to listen, ms. */
const START_MS = 30_000;
/** How long between two looks whether it listens, ms. */
const LOOK_MS = 20;
/** Clients of one qemu-nbd: the copy, and the look whether it listens. */
const CLIENTS = 4;
/**
 * qemu-nbd allocates a buffer for each request and frees it. By default glibc returns the pages of a large one to the
 * kernel, which zeroes them again for the next request: that takes as long as the copy itself.
 */
const KEEP_BUFFERS = [
  ...["env", `MALLOC_MMAP_THRESHOLD_=${16 * 1024 ** 2}`],
  `MALLOC_TRIM_THRESHOLD_=${64 * 1024 ** 2}`,
];

/** How the script of {@link SERVE_OPEN} ends if another copy writes to the device. */
const IN_USE = 75;

/** An image to serve. */
export interface ServeOptions {
  /** Absolute path. */
  readonly path: string;
  /** `raw` or `qcow2`; never guessed, so that a guest cannot choose it. */
  readonly format: string;
  /** Name of the socket, unique in this process. */
  readonly name: string;
  /**
   * `write`: to the file with this device and inode (`DEVICE INODE`). `read`: QEMU's lock keeps writers out if the
   * format has metadata. `lock`: it is read, and opened for writing, so that the lock keeps writers out in any case.
   */
  readonly use: "read" | "lock" | { readonly write: string };
}

/** qemu-nbd did not serve an image; the message has its own words. */
export class ServeError extends Error {
  /** The class, also in a bundle. */
  override name = "ServeError";
  /** Another process has locked the image. */
  readonly locked: boolean;
  /** Makes the error. */
  constructor(message: string, options?: { readonly cause?: unknown; readonly locked?: boolean }) {
    super(message, options);
    this.locked = options?.locked ?? LOCKED.test(message);
  }
}

/**
 * Runs qemu-nbd on an open file, so that nobody can put another one in its place: `$1` is the file, `$2` device and
 * inode that it must have; the program follows. QEMU lets two qemu-nbd write to one image; an arriving file has a name
 * of its own, but two copies to one device need a lock. (On NFS, `flock` would be in the way of QEMU's lock.)
 */
const SERVE_OPEN = `
file=$1 identity=$2
shift 2
exec 9<>"$file" || exit 1
if [ -b "$file" ] && command -v flock >/dev/null && ! flock -n 9
then echo "another copy writes to $file" >&2; exit ${IN_USE}
fi
if [ "$(stat -L -c '%d %i' /proc/self/fd/9)" != "$identity" ]
then echo "$file was replaced" >&2; exit 1
fi
exec "$@" /proc/self/fd/9
`;

/** An image that a qemu-nbd of this host serves on a UNIX socket. */
export class ServedImage implements AsyncDisposable {
  readonly #host: CopyHost;
  readonly #program: TiedProgram;
  readonly #socket: string;

  /**
   * Starts qemu-nbd; resolves when it listens. QEMU locks the image: for itself where it is written, against
   * writers where it is read.
   *
   * @throws {ServeError} when qemu-nbd does not come to listen.
   * @throws the signal's reason when that is aborted.
   */
  static async start(
    host: CopyHost,
    options: ServeOptions,
    signal: AbortSignal,
  ): Promise<ServedImage> {
    const socket = host.socketPath(`${options.name}.sock`);
    const program = host.startTied(argvOf(options, socket));
    const image = new ServedImage(host, program, socket);
    try {
      await image.#listens(options.path, signal);
      return image;
    } catch (error) {
      await program.stop();
      throw error;
    }
  }

  private constructor(host: CopyHost, program: TiedProgram, socket: string) {
    this.#host = host;
    this.#program = program;
    this.#socket = socket;
  }

  /** A connection to the export with the empty name. */
  async connect(): Promise<BytePipe> {
    return await this.#host.connectUnix(this.#socket);
  }

  /**
   * Ends qemu-nbd, which closes the image in order.
   *
   * @throws {ServeError} when it failed to.
   */
  async stop(): Promise<void> {
    const { code, stderr } = await this.#program.stop();
    if (code !== 0) throw new ServeError(wordsOf(stderr) || `qemu-nbd ended with ${code}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program.stop();
  }

  async #listens(path: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.#host;
    let end: string | undefined;
    let locked: true | undefined;
    this.#program.ended.then(({ code, stderr }) => {
      if (code === IN_USE) locked = true;
      end = wordsOf(stderr).replaceAll("/proc/self/fd/9", path) || `it ended with ${code}`;
    });
    const deadline = clock.now() + START_MS;
    while (true) {
      signal.throwIfAborted();
      try {
        (await this.connect()).close();
        return;
      } catch (error) {
        if (end !== undefined) {
          throw new ServeError(end, { cause: error, ...(locked ? { locked } : {}) });
        }
        if (clock.now() > deadline) {
          const seconds = START_MS / 1000;
          throw new ServeError(
            `qemu-nbd does not listen after ${seconds} s: ${messageOf(error)}`,
            { cause: error },
          );
        }
      }
      await delay(clock, LOOK_MS, signal);
    }
  }
}

function argvOf({ path, format, use }: ServeOptions, socket: string): readonly string[] {
  const program = [
    ...KEEP_BUFFERS,
    ...["qemu-nbd", "--persistent", `--shared=${CLIENTS}`, `--socket=${socket}`],
    ...[`--format=${format}`, "--cache=writeback"],
  ];
  // The name matters where an image is read: a backing file may be named from its directory on.
  if (use === "lock") return [...program, "--", path];
  if (use === "read") return [...program, "--read-only", "--", path];
  return ["sh", "-c", SERVE_OPEN, "sh", path, use.write, ...program, "--discard=unmap", "--"];
}

/** Its own words, without its name in front. */
function wordsOf(stderr: string): string {
  return stderr.trim().split("\n").map((line) => line.replace(/^qemu-nbd: /, "")).join("; ");
}
