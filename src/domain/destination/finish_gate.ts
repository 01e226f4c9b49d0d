/**
 * Watches a connection to the destination's libvirt for the call that starts the guest: the migration's
 * Finish. Without one the guest has not run here, and its images can be removed; that must also be known
 * to a process that comes after this one. So the call waits for the journal.
 *
 * libvirt's messages (src/rpc/virnetprotocol.x, the same in every version): length, program, version,
 * procedure, type, serial, status, 4 bytes each, big-endian; the length counts itself. A connection
 * whose messages have another form, for example because SASL encrypts them, counts as one with Finish.
 *
 * @module
 */
import type { BytePipe } from "../../io/mod.ts";

/** Bytes of a message up to its procedure. */
const HEAD_BYTES = 16;
/** Longest message of libvirt, bytes (VIR_NET_MESSAGE_MAX), with its length. */
const MAX_MESSAGE = 33_554_432 + 4;
/** remote_protocol.x. */
const REMOTE_PROGRAM = 0x20008086;
/** REMOTE_PROC_DOMAIN_RESUME and _MIGRATE_FINISH, _FINISH2, _FINISH3, _FINISH3_PARAMS. */
const FINISH: readonly number[] = [28, 63, 109, 217, 306];

/** Reads a client's bytes and finds Finish in them. Pure. */
export class FinishScanner {
  readonly #head = new Uint8Array(HEAD_BYTES);
  #headBytes = 0;
  /** Bytes of the current message that follow its head. */
  #bodyBytes = 0;
  #found = false;

  /** Finish may be among the bytes so far. */
  get found(): boolean {
    return this.#found;
  }

  /** Takes the next bytes. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.#found;) {
      const skipped = Math.min(this.#bodyBytes, bytes.length - at);
      this.#bodyBytes -= skipped;
      at += skipped;
      const taken = Math.min(HEAD_BYTES - this.#headBytes, bytes.length - at);
      this.#head.set(bytes.subarray(at, at + taken), this.#headBytes);
      this.#headBytes += taken;
      at += taken;
      if (this.#headBytes === HEAD_BYTES) this.#readHead();
    }
  }

  #readHead(): void {
    const view = new DataView(this.#head.buffer);
    const [length, program, procedure] = [0, 4, 12].map((at) => view.getUint32(at));
    const isMessage = length! >= HEAD_BYTES && length! <= MAX_MESSAGE;
    this.#found = !isMessage || (program === REMOTE_PROGRAM && FINISH.includes(procedure!));
    this.#bodyBytes = length! - HEAD_BYTES;
    this.#headBytes = 0;
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

  read(into: Uint8Array): Promise<number | null> {
    return this.#pipe.read(into);
  }

  async write(from: Uint8Array): Promise<number> {
    // A write that takes only some of its bytes is followed by one with the rest.
    const bytes = from.slice();
    if (!this.#passed) {
      const scanner = this.#scanner;
      scanner.push(bytes);
      if (scanner.found) this.#passed = this.#onFinish();
    }
    await this.#passed;
    let done = 0;
    while (done < bytes.length) {
      done += await this.#pipe.write(done === 0 ? bytes : bytes.subarray(done));
    }
    return bytes.length;
  }

  closeWrite(): Promise<void> {
    return this.#pipe.closeWrite();
  }

  close(): void {
    this.#pipe.close();
  }
}
