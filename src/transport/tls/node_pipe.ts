import type { Socket } from "node:net";
import type { BytePipe } from "../../io/mod.ts";
import { TransportError } from "../errors.ts";

/** Bytes that may wait for their reader before the socket is paused. */
const HIGH = 512 * 1024;

/**
 * A socket of `node:net` or `node:tls` as a pipe, which owns it. What it brings waits in the pieces
 * that it came in, and is copied once.
 */
export class NodePipe implements BytePipe {
  refusal?: string;
  peer?: string;
  /** Resolves with the first error, if there is one. */
  readonly failed: Promise<Error>;
  readonly #socket: Socket;
  readonly #pieces: Uint8Array[] = [];
  #waiting = 0;
  #paused = false;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #failWrite: ((error: Error) => void) | undefined;

  /**
   * @param explain makes the error that a pipe throws from one of the socket's.
   * @param silentEnd the message of an error for a peer that closes without a byte; default: the end.
   */
  constructor(socket: Socket, explain: (error: unknown) => Error, silentEnd?: string) {
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.failed = promise;
    const fail = (error: Error) => {
      this.#error ??= error;
      resolve(this.#error);
      this.#failWrite?.(this.#error);
      this.#wakeReader();
    };
    let heard = false;
    socket.on("data", (piece: Uint8Array) => {
      heard = true;
      this.#pieces.push(piece);
      this.#waiting += piece.length;
      if (this.#waiting > HIGH && !this.#paused) {
        this.#paused = true;
        socket.pause();
      }
      this.#wakeReader();
    });
    socket.on("end", () => {
      if (!heard && silentEnd !== undefined) return fail(new TransportError(silentEnd));
      this.#ended = true;
      this.#wakeReader();
    });
    // After the first byte an error is none of the handshake.
    socket.on("error", (error: Error) => fail(heard ? error : explain(error)));
    socket.on("close", () => {
      if (!this.#ended) fail(new TransportError("The connection was closed"));
    });
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#pieces.length === 0) {
      if (this.#error) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    let filled = 0;
    while (filled < into.length && this.#pieces.length > 0) {
      const piece = this.#pieces[0]!;
      const part = piece.subarray(0, into.length - filled);
      into.set(part, filled);
      filled += part.length;
      if (part.length === piece.length) this.#pieces.shift();
      else this.#pieces[0] = piece.subarray(part.length);
    }
    this.#waiting -= filled;
    if (this.#paused && this.#waiting <= HIGH / 2) {
      this.#paused = false;
      this.#socket.resume();
    }
    return filled;
  }

  async write(from: Uint8Array): Promise<number> {
    if (this.#error) throw this.#error;
    // The peer may have sent its reason before it closed: the reader finds that, the writer does not fail.
    if (this.#ended && this.#socket.writableEnded) return from.length;
    await new Promise<void>((resolve, reject) => {
      this.#failWrite = reject;
      this.#socket.write(from, (error) => error ? reject(this.#error ?? error) : resolve());
    });
    this.#failWrite = undefined;
    return from.length;
  }

  async closeWrite(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#socket.end(resolve);
      this.failed.then(() => resolve());
    });
  }

  close(): void {
    this.#error ??= new TransportError("The connection was closed here");
    this.#socket.destroy();
    this.#failWrite?.(this.#error);
    this.#wakeReader();
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
