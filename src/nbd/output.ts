import { type BytePipe, writeAll } from "../io/mod.ts";

/** Messages up to this size share a write; a copy of 64 KiB costs less than a write of its own. */
const BATCH_BYTES = 128 * 1024;

interface Message {
  readonly parts: readonly Uint8Array[];
  readonly written: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Writes messages to a pipe, each whole, in the order of the calls. Messages that wait are written
 * together. The caller bounds their number: it waits for {@link send}. Does not own the pipe.
 */
export class Output {
  readonly #pipe: BytePipe;
  readonly #batch = new Uint8Array(BATCH_BYTES);
  #waiting: Message[] = [];
  #failure: { readonly error: unknown } | undefined;
  #running: Promise<void> | undefined;

  constructor(pipe: BytePipe) {
    this.#pipe = pipe;
  }

  /**
   * Sends a message. Its parts must not change before the promise settles.
   *
   * @throws what the pipe's `write` threw, for this message or an earlier one.
   */
  send(...parts: readonly Uint8Array[]): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure.error);
    return new Promise((written, failed) => {
      this.#waiting.push({ parts, written, failed });
      this.#running ??= this.#run();
    });
  }

  /** Waits until everything is written or the pipe has failed. Never rejects. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // One turn later, so that messages of the same turn share a write.
    await Promise.resolve();
    let messages: Message[] = [];
    try {
      while (this.#waiting.length > 0) {
        messages = this.#waiting;
        this.#waiting = [];
        await this.#write(messages);
      }
    } catch (error) {
      this.#failure = { error };
      for (const { failed } of [...messages, ...this.#waiting]) failed(error);
      this.#waiting = [];
    }
    this.#running = undefined;
  }

  async #write(messages: readonly Message[]): Promise<void> {
    let used = 0;
    const flush = async () => {
      if (used > 0) await writeAll(this.#pipe, this.#batch.subarray(0, used));
      used = 0;
    };
    for (const { parts } of messages) {
      for (const part of parts) {
        if (part.length > BATCH_BYTES - used) await flush();
        if (part.length > BATCH_BYTES / 2 && used === 0) {
          await writeAll(this.#pipe, part);
        } else {
          this.#batch.set(part, used);
          used += part.length;
        }
      }
    }
    await flush();
    for (const { written } of messages) written();
  }
}
