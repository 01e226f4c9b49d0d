/**
 * Files whose content the source sends: each over a channel, under a temporary name, compared with its
 * hash, then renamed.
 *
 * @module
 */
import { afterStall, type BytePipe, messageOf } from "../../../io/mod.ts";
import { command, octal } from "../../../host/mod.ts";
import { MigrationError } from "../../../migrate/mod.ts";
import type { ChannelServer, LaunchCopy } from "../../../rpc/mod.ts";
import { ownerText, recordIdentity } from "./create.ts";
import { hashOf } from "../describe/describe_files.ts";
import type { LaunchHost, NewFile } from "../host.ts";
import type { LaunchPlan } from "../plan.ts";
import type { Recorded } from "../recorded.ts";

/** How long the source may send nothing, ms. */
const STALL_MS = 60_000;

/**
 * Gives the file (`$1`) to its owner (`$3`, if any) with its mode (`$4`), and its name (`$2`), which no file may have. A link
 * fails where a name is taken; file systems without links have `mv -n`. Another user may own the directory, and put a link
 * in its place: only the open file gets owner and mode.
 */
const FINISH = `
exec 9<"$1" || exit 1
if [ "$(stat -L -c %d:%i /proc/self/fd/9)" != "$(stat -c %d:%i -- "$1")" ]; then echo "$1 was replaced" >&2; exit 1; fi
[ -z "$3" ] || chown "$3" /proc/self/fd/9 || exit 1
chmod "$4" /proc/self/fd/9 || exit 1
if ln -T -- "$1" "$2" 2>/dev/null; then rm -f -- "$1"
elif [ -e "$2" ] || [ -L "$2" ]; then echo "$2 exists by now" >&2; exit 1
else mv -nT -- "$1" "$2" && ! [ -e "$1" ]
fi || exit 1
if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null; then restorecon -- "$2"; fi
sync -- "$2" "\${2%/*}/" 2>/dev/null || :
`;

/** The copies of a launch. */
export class Copies {
  readonly #host: LaunchHost;
  readonly #recorded: Recorded;
  readonly #plan: LaunchPlan;
  readonly #arrived: Promise<unknown>;
  /** What is being created or renamed. */
  readonly #busy = new Set<Promise<unknown>>();
  #isStopped = false;
  #bytes = 0;

  /** Serves the channels. */
  constructor(host: LaunchHost, recorded: Recorded, plan: LaunchPlan, channels: ChannelServer) {
    this.#host = host;
    this.#recorded = recorded;
    this.#plan = plan;
    this.#arrived = Promise.all(plan.params.copies.map((copy) => this.#serve(copy, channels)));
    // The caller may never come to wait for them.
    this.#arrived.catch(() => {});
  }

  /**
   * Waits until all copies are whole and have their names.
   *
   * @throws {MigrationError} kind `refused`, code `file-not-copied`.
   * @throws the signal's reason when that is aborted.
   */
  async join(signal: AbortSignal): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>();
    const stop = afterStall(this.#host.clock, STALL_MS, () => this.#bytes, () => {
      const seconds = STALL_MS / 1000;
      reject(failed(`The source sent nothing of a file for ${seconds} s`));
    });
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    try {
      signal.throwIfAborted();
      await Promise.race([this.#arrived, promise]);
    } finally {
      stop();
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Creates and renames nothing any more. Resolves when that is so. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.allSettled(this.#busy);
  }

  async #work<T>(act: () => Promise<T>): Promise<T> {
    if (this.#isStopped) throw new Error("the launch was given up");
    const working = act();
    this.#busy.add(working);
    try {
      return await working;
    } finally {
      this.#busy.delete(working);
    }
  }

  /** Resolves when the copy has its name; rejects when it failed. */
  #serve(copy: LaunchCopy, channels: ChannelServer): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let isTaken = false;
    channels.serve(copy.channel, async () => {
      if (isTaken) throw new Error(`${copy.path} is being copied already`);
      isTaken = true;
      try {
        const file = await this.#work(() => this.#create(copy));
        const onBytes = (n: number) => this.#bytes += n;
        return new CopyPipe(file, copy, onBytes, async () => {
          await this.#work(() => this.#finish(copy));
          resolve();
        }, (error) => reject(failedCopy(copy, error)));
      } catch (error) {
        reject(failedCopy(copy, error));
        throw error;
      }
    });
    return promise;
  }

  async #create({ path }: LaunchCopy): Promise<NewFile> {
    const { temporary } = this.#recorded.current.made.find((each) => each.path === path)!;
    await this.#recorded.writeMade(path, { begunAt: this.#host.wallMs() });
    const file = await this.#host.createFile(temporary!);
    await recordIdentity(this.#host, this.#recorded, path, temporary!);
    return file;
  }

  async #finish({ path, sizeBytes, sha256, mode }: LaunchCopy): Promise<void> {
    const { run } = this.#host;
    const { temporary } = this.#recorded.current.made.find((each) => each.path === path)!;
    if (await hashOf(run, temporary!, sizeBytes) !== sha256) {
      throw new Error("its content differs from the source's, which has changed meanwhile");
    }
    const argv = [temporary!, path, ownerText(this.#plan.owner), octal(mode)];
    await command(run, ["sh", "-c", FINISH, "sh", ...argv]);
  }
}

/** The end of a stream that is written to a file. Sends nothing. */
class CopyPipe implements BytePipe {
  readonly #file: NewFile;
  readonly #copy: LaunchCopy;
  readonly #onBytes: (n: number) => void;
  readonly #finish: () => Promise<void>;
  readonly #onFailure: (error: unknown) => void;
  /** Resolves when the file has its name, so that the source sees the end of the stream only then. */
  readonly #over = Promise.withResolvers<null>();
  #received = 0;
  #isOver = false;

  constructor(
    file: NewFile,
    copy: LaunchCopy,
    onBytes: (n: number) => void,
    finish: () => Promise<void>,
    onFailure: (error: unknown) => void,
  ) {
    this.#file = file;
    this.#copy = copy;
    this.#onBytes = onBytes;
    this.#finish = finish;
    this.#onFailure = onFailure;
    // Its reader may have failed before.
    this.#over.promise.catch(() => {});
  }

  read(): Promise<number | null> {
    return this.#over.promise;
  }

  async write(from: Uint8Array): Promise<number> {
    if (this.#isOver) throw new Error("it was cut");
    try {
      this.#received += from.length;
      if (this.#received > this.#copy.sizeBytes) throw new Error(this.#lengthProblem("or more"));
      await this.#file.write(from);
      this.#onBytes(from.length);
      return from.length;
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  async closeWrite(): Promise<void> {
    try {
      if (this.#received !== this.#copy.sizeBytes) throw new Error(this.#lengthProblem("only"));
      await this.#file.sync();
      this.#file.close();
      if (this.#isOver) throw new Error("it was cut");
      await this.#finish();
      this.#isOver = true;
      this.#over.resolve(null);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  close(): void {
    const error = new Error("the stream was cut");
    this.#fail(error);
    this.#over.reject(error);
  }

  #lengthProblem(how: string): string {
    return `${this.#received} bytes ${how} arrived, expected ${this.#copy.sizeBytes}`;
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#file.close();
    this.#onFailure(error);
  }
}

function failedCopy({ path }: LaunchCopy, error: unknown): MigrationError {
  return failed(`${path} was not copied: ${messageOf(error)}`, error);
}

function failed(message: string, cause?: unknown): MigrationError {
  return new MigrationError("refused", "file-not-copied", "destination", message, { cause });
}
