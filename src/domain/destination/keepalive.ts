/**
 * Answers the keepalive messages of the destination's libvirt, at its own host.
 *
 * libvirtd asks a client every 5 s whether it is there, and closes the connection after 5 questions
 * without an answer (keepalive_interval, keepalive_count); it then ends the domain that arrives. The
 * client is virsh at the source, and the session lives through longer cuts than that. So the questions
 * are answered here and go no further: for libvirtd the client is there for as long as the session is.
 *
 * @module
 */
import { type BytePipe, writeAll } from "../../io/mod.ts";
import { KEEPALIVE_PROGRAM, MessageSplitter, PING, pong } from "../../libvirt/mod.ts";

/** Smallest buffer that a whole head surely fits in, bytes. */
const BUFFER_BYTES = 65536;

/** A pipe to a libvirt daemon that answers its PINGs. */
export class AnsweredPings implements BytePipe {
  readonly #pipe: BytePipe;
  readonly #fromDaemon = new MessageSplitter();
  readonly #toDaemon = new MessageSplitter();
  /** Bytes of the daemon that have not been read yet. */
  #rest: Uint8Array = new Uint8Array();
  #writing: Promise<unknown> = Promise.resolve();
  #owed = 0;

  /** Owns `pipe`. */
  constructor(pipe: BytePipe) {
    this.#pipe = pipe;
  }

  /** Reads what the daemon sends, without its PINGs. */
  async read(into: Uint8Array): Promise<number | null> {
    const buffer = new Uint8Array(BUFFER_BYTES);
    while (this.#rest.length === 0) {
      const n = await this.#pipe.read(buffer);
      if (n === null) return null;
      this.#rest = this.#fromDaemon.push(buffer.subarray(0, n), ({ program, procedure }) => {
        const isPing = program === KEEPALIVE_PROGRAM && procedure === PING;
        if (isPing) this.#owed++;
        return !isPing;
      });
      // A failure to answer shows as one of the pipe.
      if (this.#owed > 0) this.#inTurn(() => this.#answer()).catch(() => {});
    }
    const n = Math.min(into.length, this.#rest.length);
    into.set(this.#rest.subarray(0, n));
    this.#rest = this.#rest.slice(n);
    return n;
  }

  /** Writes all bytes. An answer never comes between two parts of a message. */
  async write(from: Uint8Array): Promise<number> {
    const bytes = from.slice();
    await this.#inTurn(async () => {
      this.#toDaemon.push(bytes, () => true);
      await writeAll(this.#pipe, bytes);
      await this.#answer();
    });
    return bytes.length;
  }

  /** Ends the pipe's sending direction. */
  async closeWrite(): Promise<void> {
    await this.#inTurn(() => this.#pipe.closeWrite());
  }

  /** Closes the pipe. */
  close(): void {
    this.#pipe.close();
  }

  async #answer(): Promise<void> {
    while (this.#owed > 0 && this.#toDaemon.isBetween) {
      this.#owed--;
      await writeAll(this.#pipe, pong());
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => {});
    return done;
  }
}
