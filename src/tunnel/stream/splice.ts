import { type BytePipe, messageOf } from "../../io/mod.ts";
import { StreamResetError } from "../errors.ts";
import type { Piece } from "../receive/pieces.ts";
import type { TunnelStream } from "./stream.ts";
import type { ResetCode } from "../wire/layout.ts";

/** How a splice ended. */
export interface SpliceResult {
  /** Bytes from the pipe into the stream. */
  readonly sent: number;
  /** Bytes from the stream into the pipe. */
  readonly received: number;
  /** The first thing that went wrong; `undefined` when both directions ended with their end mark. */
  readonly error: Error | undefined;
}

/**
 * Joins a socket and a stream: bytes both ways, each end passed on as a half-close, each failure as
 * a reset with its reason. Owns both and closes them. Never rejects.
 */
export async function splice(stream: TunnelStream, pipe: BytePipe): Promise<SpliceResult> {
  let error: Error | undefined;
  const giveUp = (cause: unknown, code: ResetCode, what: string) => {
    if (error === undefined) {
      error = stream.failure ?? new StreamResetError(code, `${what}: ${messageOf(cause)}`, "us");
      stream.reset(code, error.message);
    }
    // Wakes the other direction's read or write.
    pipe.close();
  };
  await Promise.all([
    sendAll(pipe, stream, (e) => giveUp(e, "read-failed", "The local socket could not be read")),
    receiveAll(stream, pipe, (e) => giveUp(e, "write-failed", "The local socket took no bytes")),
  ]);
  pipe.close();
  return { sent: stream.bytesSent, received: stream.bytesReceived, error };
}

type Fail = (cause: unknown) => void;

async function sendAll(pipe: BytePipe, stream: TunnelStream, fail: Fail): Promise<void> {
  try {
    while (true) {
      const room = stream.tryReserve() ?? await stream.reserve();
      const n = await pipe.read(room);
      if (n === null) break;
      stream.commit(n);
    }
    await stream.closeWrite();
  } catch (error) {
    fail(error);
  }
}

/** What a stream brings, on its way into a pipe; `whole` resolves at the end, however it comes. */
function receiveAll(stream: TunnelStream, pipe: BytePipe, fail: Fail): Promise<void> {
  return new Receiver(stream, pipe, fail).whole;
}

/**
 * Writes each piece within the call that brings it, where the pipe is free: the bytes are still in the
 * processor's cache then, and no longer once the connection has been read again.
 */
class Receiver {
  readonly #stream: TunnelStream;
  readonly #pipe: BytePipe;
  readonly #fail: Fail;
  readonly #whole = Promise.withResolvers<void>();
  /** A piece, or the end, is being written, or nothing more will be. */
  #busy = false;
  /** The piece that is being written. */
  #piece: Piece | undefined;
  /** How much of it is. */
  #done = 0;

  constructor(stream: TunnelStream, pipe: BytePipe, fail: Fail) {
    this.#stream = stream;
    this.#pipe = pipe;
    this.#fail = fail;
    // A stream that fails while a write is under way must still close the socket.
    stream.ended.then(() => stream.failure && fail(stream.failure));
    stream.onReadable(this.#pump);
    this.#pump();
  }

  get whole(): Promise<void> {
    return this.#whole.promise;
  }

  readonly #pump = (): void => {
    if (this.#busy) return;
    const piece = this.#stream.takePiece();
    if (piece === undefined) {
      if (this.#stream.failure) this.#giveUp(this.#stream.failure);
      return;
    }
    this.#busy = true;
    if (piece === null) {
      this.#pipe.closeWrite().then(this.#whole.resolve, this.#giveUp);
      return;
    }
    this.#piece = piece;
    this.#done = 0;
    this.#pipe.write(piece.bytes).then(this.#written, this.#writeFailed);
  };

  readonly #written = (n: number): void => {
    const { bytes } = this.#piece!;
    this.#done += n;
    if (this.#done < bytes.length) {
      this.#pipe.write(bytes.subarray(this.#done)).then(this.#written, this.#writeFailed);
      return;
    }
    this.#consume();
    this.#busy = false;
    this.#pump();
  };

  readonly #writeFailed = (error: unknown): void => {
    this.#consume();
    this.#giveUp(error);
  };

  #consume(): void {
    const piece = this.#piece!;
    this.#piece = undefined;
    this.#stream.consume(piece);
  }

  readonly #giveUp = (error: unknown): void => {
    this.#busy = true;
    this.#fail(error);
    this.#whole.resolve();
  };
}
