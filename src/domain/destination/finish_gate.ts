/**
 * Watches a connection to the destination's libvirt for the call that starts the guest: the migration's
 * Finish. Without one the guest has not run here, and its images can be removed; that must also be known
 * to a process that comes after this one. So the call waits for the journal.
 *
 * A connection whose bytes are no messages of libvirt, for example because SASL encrypts them, counts as
 * one with Finish.
 *
 * @module
 */
import { type BytePipe, writeAll } from "../../io/mod.ts";
import { type MessageHead, MessageSplitter, REMOTE_PROGRAM } from "../../libvirt/mod.ts";

/** REMOTE_PROC_DOMAIN_RESUME and _MIGRATE_FINISH, _FINISH2, _FINISH3, _FINISH3_PARAMS. */
const FINISH: readonly number[] = [28, 63, 109, 217, 306];

/** Reads a client's bytes and finds Finish in them. Pure. */
export class FinishScanner {
  readonly #splitter = new MessageSplitter();
  #found = false;

  /** Finish may be among the bytes so far. */
  get found(): boolean {
    return this.#found;
  }

  /** Takes the next bytes. */
  push(bytes: Uint8Array): void {
    this.#splitter.push(bytes, ({ program, procedure }: MessageHead) => {
      if (program === REMOTE_PROGRAM && FINISH.includes(procedure)) this.#found = true;
      return true;
    });
    if (this.#splitter.isForeign) this.#found = true;
  }
}

/**
 * A pipe to libvirt that calls `onFinish` before the first Finish passes; the bytes wait for it, and the
 * pipe fails if it rejects.
 */
export class FinishGate implements BytePipe {
  readonly #pipe: BytePipe;
  readonly #scanner = new FinishScanner();
  readonly #onFinish: () => Promise<void>;
  #passed: Promise<void> | undefined;

  /** Owns `pipe`. */
  constructor(pipe: BytePipe, onFinish: () => Promise<void>) {
    this.#pipe = pipe;
    this.#onFinish = onFinish;
  }

  /** Reads what the pipe has. */
  read(into: Uint8Array): Promise<number | null> {
    return this.#pipe.read(into);
  }

  /** Writes all bytes, after `onFinish` if Finish is among them. */
  async write(from: Uint8Array): Promise<number> {
    // A write that takes only some of its bytes is followed by one with the rest.
    const bytes = from.slice();
    if (!this.#passed) {
      this.#scanner.push(bytes);
      if (this.#scanner.found) this.#passed = this.#onFinish();
    }
    await this.#passed;
    await writeAll(this.#pipe, bytes);
    return bytes.length;
  }

  /** Ends the pipe's sending direction. */
  closeWrite(): Promise<void> {
    return this.#pipe.closeWrite();
  }

  /** Closes the pipe. */
  close(): void {
    this.#pipe.close();
  }
}
