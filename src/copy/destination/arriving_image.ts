import {
  command,
  CommandError,
  createImageFile,
  fileUsers,
  lookAt,
  type NewImage,
  NothingMade,
  octal,
} from "../../host/mod.ts";
import { type BytePipe, messageOf } from "../../io/mod.ts";
import { type ErrorCode, MigrationError } from "../../migrate/mod.ts";
import type { CopyHost } from "../host.ts";
import { isLocked } from "../locks.ts";
import { ServedImage, ServeError } from "../serve_image.ts";
import type { BlockHashes, Range } from "../../delta/mod.ts";
import { returnBase, takeBase } from "./base.ts";
import { HashReader } from "./hash_reader.ts";
import { bytesIn, type Target } from "./look.ts";
import { fileOf, partialPath, type PartialRecord, removePartial, writeRecord } from "./partial.ts";

/** How long the last step of an image may take, ms: it waits until everything is on stable storage. */
const FINISH_MS = 120_000;

/**
 * Gives the file (`$1`) with this device and inode (`$3`) its name (`$2`), owner (`$4`, if any) and mode (`$5`, if any). What has
 * the name already is replaced if `$6` is 1, and hands on its owner and mode; otherwise the script fails. A link fails
 * where a name is taken; file systems without links have `mv -n`. Another user may own the directory, and put a link
 * in the file's place: only the open file gets owner and mode.
 */
const FINISH = `
exec 9<"$1" || exit 1
if [ "$(stat -L -c '%d %i' /proc/self/fd/9)" != "$3" ]; then echo "$1 was replaced" >&2; exit 1; fi
if [ "$6" = 1 ] && [ -f "$2" ]; then
  chown --reference="$2" /proc/self/fd/9 2>/dev/null
  chmod --reference="$2" /proc/self/fd/9 || exit 1
  mv -fT -- "$1" "$2" || exit 1
else
  [ -z "$4" ] || chown "$4" /proc/self/fd/9 2>/dev/null
  [ -z "$5" ] || chmod "$5" /proc/self/fd/9 || exit 1
  if ln -T -- "$1" "$2" 2>/dev/null; then rm -f -- "$1"
  elif [ -e "$2" ] || [ -L "$2" ]; then echo "$2 exists by now" >&2; exit 1
  else mv -nT -- "$1" "$2" && ! [ -e "$1" ]
  fi || exit 1
fi
if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null; then restorecon -- "$2"; fi
sync -- "$2" "\${2%/*}/" 2>/dev/null || :
`;

/** An image that arrives: a partial file, or a block device that is written in place. */
export class ArrivingImage {
  readonly #host: CopyHost;
  readonly #target: Target;
  #record: PartialRecord;
  #served: ServedImage | undefined;
  /** The partial image is, or may be, the user's file itself. */
  #isUsers = false;
  /** It is, and nobody could write to it yet. */
  #isUntouched = false;
  /** It has its own name: there is nothing left to undo. */
  #hasName = false;
  readonly #hashes: HashReader = new HashReader(async () => {
    if (!this.#served) throw new Error("It is not served");
    return await this.#served.connect();
  });

  /**
   * Creates the partial image, or takes the one that an earlier copy has left, and serves it.
   *
   * @throws {MigrationError} kind `refused`; nothing is left then.
   * @throws the signal's reason when that is aborted.
   */
  static async begin(
    host: CopyHost,
    target: Target,
    name: string,
    signal: AbortSignal,
  ): Promise<ArrivingImage> {
    const image = new ArrivingImage(host, target);
    try {
      await image.#create(signal);
      await image.#serve(name, signal);
      return image;
    } catch (error) {
      await image.undo(target.continued !== undefined).catch((failure) =>
        host.log.log("warning", `not undone: ${messageOf(failure)}`)
      );
      if (error instanceof ServeError) {
        const code = error.locked ? "image-in-use" : "image-not-created";
        throw refused(code, `${target.path} cannot be written: ${error.message}`, error);
      }
      if (!(error instanceof CommandError)) throw error;
      throw refused(
        "image-not-created",
        `${target.path} cannot be created: ${error.message}`,
        error,
      );
    }
  }

  private constructor(host: CopyHost, target: Target) {
    this.#host = host;
    this.#target = target;
    const { identity, format, sizeBytes } = target.image;
    this.#record = target.continued ??
      { version: 1, identity, file: "", format, sizeBytes, doneBytes: 0, base: null };
    this.#isUsers = this.#record.base === true || target.base?.kind === "partial";
  }

  /** Name of the channel by which the source writes it. */
  get channel(): string {
    return this.#target.image.channel;
  }

  /** What the source need not send, and send as zeroes, again. */
  get begun(): {
    readonly doneBytes: number;
    readonly zeroed: boolean;
    readonly hasBase: boolean;
  } {
    const { isDevice, base } = this.#target;
    const hasBase = base !== undefined || this.#record.base === true;
    return { doneBytes: this.#record.doneBytes, zeroed: !isDevice && !hasBase, hasBase };
  }

  /** A later copy could continue with it. */
  get isWorthKeeping(): boolean {
    return !this.#target.isDevice && this.#record.doneBytes > 0 && this.#record.identity !== "";
  }

  /** Connects to its NBD server. */
  async connect(): Promise<BytePipe> {
    if (!this.#served) throw new Error("It is not served");
    this.#isUntouched = false;
    return await this.#served.connect();
  }

  /** Hashes a range of it; throws as {@link HashReader.hash}. */
  async hash(range: Range): Promise<BlockHashes> {
    return await this.#hashes.hash(range);
  }

  /** Notes how much has arrived. */
  async note(doneBytes: number): Promise<void> {
    if (this.#target.isDevice || doneBytes <= this.#record.doneBytes) return;
    this.#record = { ...this.#record, doneBytes };
    await writeRecord(this.#host, this.#target.path, this.#record);
  }

  /**
   * Closes the image; nothing can be written any more.
   *
   * @throws {MigrationError} when qemu-nbd could not write everything.
   */
  async close(): Promise<void> {
    await this.#hashes.stop();
    const served = this.#served;
    this.#served = undefined;
    await served?.stop().catch((error) => {
      throw failed("disk-write-failed", `${this.#target.path}: ${messageOf(error)}`, error);
    });
  }

  /**
   * Checks that it can have its name, which it does not have yet.
   *
   * @throws {MigrationError} when another file has the name by now, or a process uses the one to replace.
   */
  async requireName(): Promise<void> {
    const { path, isDevice, image: { reuse } } = this.#target;
    if (isDevice) return;
    const { run } = this.#host;
    const [look] = await lookAt(run, [path]);
    if (!reuse && look!.state !== "missing") {
      const message = `${path} exists by now. Move it away, or give another path with --map`;
      throw failed("image-exists", message);
    }
    const [user] = reuse ? await fileUsers(run, [path]) : [];
    if (user !== undefined) {
      throw failed("image-in-use", `${path} is in use by ${user} by now, and stays as it is`);
    }
    // This user may not see who has it open.
    if (reuse && await isLocked(this.#host, path)) {
      const message = `A process such as a QEMU has locked ${path} by now, which stays as it is`;
      throw failed("image-in-use", message);
    }
  }

  /**
   * Gives it its name.
   *
   * @returns its path and the bytes that it takes.
   * @throws {MigrationError} when the name is taken by now.
   */
  async finish(): Promise<{ path: string; allocatedBytes: number | null }> {
    const { path, isDevice, image: { mode, owner, reuse } } = this.#target;
    if (isDevice) return { path, allocatedBytes: null };
    const { run } = this.#host;
    // An older image keeps its owner and mode.
    const { base, file } = this.#record;
    const who = owner && !base ? `${owner.user}:${owner.group}` : "";
    const argv = [partialPath(path), path, file, who, base ? "" : octal(mode), reuse ? "1" : "0"];
    try {
      await command(run, ["sh", "-c", FINISH, "sh", ...argv], FINISH_MS);
    } catch (error) {
      const words = `${path} did not get its name: ${messageOf(error)}`;
      throw failed("image-exists", words, error);
    }
    this.#hasName = true;
    // The image has its name: whatever has the partial one by now is another copy's.
    await removePartial(this.#host, path, "").catch((error) =>
      this.#host.log.log("info", `the record of ${path} stays: ${messageOf(error)}`)
    );
    return { path, allocatedBytes: await bytesIn(this.#host, path).catch(() => null) };
  }

  /**
   * Ends its server, and removes the partial image unless it is to be kept. What was the user's own file is never
   * removed, and gets its name back if nothing was written to it.
   */
  async undo(keep: boolean): Promise<void> {
    await this.#hashes.stop();
    const served = this.#served;
    this.#served = undefined;
    await served?.[Symbol.asyncDispose]();
    const { path, isDevice } = this.#target;
    if (keep || isDevice || this.#hasName) return;
    const { file } = this.#record;
    if (this.#isUntouched) {
      await returnBase(this.#host, path, file);
      return await removePartial(this.#host, path, "");
    }
    if (this.#isUsers) {
      this.#record = { ...this.#record, doneBytes: 0 };
      return await writeRecord(this.#host, path, this.#record);
    }
    // Without a file nothing was made.
    if (file !== "") await removePartial(this.#host, path, file);
  }

  async #create(signal: AbortSignal): Promise<void> {
    const { path, image, isDevice, continued, base } = this.#target;
    if (isDevice || continued) return;
    if (base?.kind === "partial") return await this.#note(base.file);
    await removePartial(this.#host, path, this.#target.partial);
    if (base) {
      return await takeBase(this.#host, path, base, async (file, isItself) => {
        // Before the file loses its name: whatever fails from here on, it gets it back.
        this.#isUsers = this.#isUntouched = isItself;
        await this.#note(file);
      });
    }
    const partial = partialPath(path);
    const made = { ...image, path: partial, allocated: false, backing: null, mode: 0o600 };
    await this.#make(made, signal);
    const [look] = await lookAt(this.#host.run, [partial]);
    this.#record = { ...this.#record, file: fileOf(look!) };
    await writeRecord(this.#host, path, this.#record);
  }

  async #make(image: NewImage, signal: AbortSignal): Promise<void> {
    try {
      await createImageFile(this.#host.run, image, "", signal);
    } catch (error) {
      // Ended by a signal, it has removed nothing.
      if (!(error instanceof NothingMade)) {
        await command(this.#host.run, ["rm", "-f", "--", image.path]);
      }
      throw error;
    }
  }

  /** Writes the record of a partial image with an older one in it. */
  async #note(file: string): Promise<void> {
    this.#record = { ...this.#record, version: 2, file, base: true };
    await writeRecord(this.#host, this.#target.path, this.#record);
  }

  async #serve(name: string, signal: AbortSignal): Promise<void> {
    const { path, isDevice, image: { format } } = this.#target;
    const at = isDevice ? path : partialPath(path);
    let identity = this.#record.file;
    if (isDevice) {
      const [look] = await lookAt(this.#host.run, [path]);
      identity = fileOf(look!);
    }
    const options = { path: at, format, name, use: { write: identity } };
    this.#served = await ServedImage.start(this.#host, options, signal);
  }
}

function refused(code: ErrorCode, message: string, cause: unknown): MigrationError {
  return new MigrationError("refused", code, "destination", message, { cause });
}

function failed(code: ErrorCode, message: string, cause?: unknown): MigrationError {
  return new MigrationError("failed", code, "destination", message, { cause });
}
