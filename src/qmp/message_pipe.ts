import { type BytePipe, readLines, writeAll } from "../io/mod.ts";
import type { Message } from "./messages.ts";

/** What a message pipe reports. Neither may wait. */
export interface MessagePipeHost {
  /** A line came. An error that it throws ends the pipe. */
  onLine(line: string): void;
  /** Nothing more comes. `cause`: a read failed, or `onLine` threw. */
  onReadEnd(cause: unknown): void;
  /** A write failed: the peer is gone. */
  onWriteError(cause: unknown): void;
}

/** Messages as lines over a pipe. Owns the pipe. */
export class MessagePipe {
  readonly #pipe: BytePipe;
  readonly #host: MessagePipeHost;
  /** Messages to be written, as lines. */
  #unsent = "";
  #writing: Promise<void> | undefined;

  constructor(pipe: BytePipe, host: MessagePipeHost) {
    this.#pipe = pipe;
    this.#host = host;
  }

  /** Sends a message. Those sent while a write is under way go out together with the next one. */
  send(message: Message): void {
    this.#unsent += `${JSON.stringify(message)}\n`;
    this.#writing ??= this.#write();
  }

  /** Reads until the pipe ends. Never rejects. */
  async readAll(): Promise<void> {
    let cause: unknown;
    try {
      for await (const line of readLines(this.#pipe)) {
        if (line.length > 0) this.#host.onLine(line);
      }
    } catch (error) {
      cause = error;
    }
    this.#host.onReadEnd(cause);
  }

  close(): void {
    this.#pipe.close();
  }

  async #write(): Promise<void> {
    try {
      while (this.#unsent !== "") {
        const bytes = new TextEncoder().encode(this.#unsent);
        this.#unsent = "";
        await writeAll(this.#pipe, bytes);
      }
    } catch (error) {
      this.#host.onWriteError(error);
    } finally {
      this.#writing = undefined;
    }
  }
}
