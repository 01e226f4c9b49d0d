import { type BytePipe, messageOf } from "../../io/mod.ts";
import { StreamResetError } from "../errors.ts";
import type { Piece } from "../receive/pieces.ts";
import type { TunnelStream } from "./stream.ts";
import type { ResetCode } from "../wire/layout.ts";

/** The outcome of a splice. */
export interface SpliceResult {
  /** Bytes from the pipe into the stream. */
  readonly sent: number;
  /** Bytes from the stream into the pipe. */
  readonly received: number;
  /** The first failure; `undefined` when both directions ended with their end mark. */
  readonly error: Error | undefined;
}

/**
 * Joins a socket and a stream: bytes both ways. The end of either direction becomes a half-close of
 * the other side, a failure becomes a reset with its reason. Owns both and closes them. Never
 * rejects.
 *
 * @example An echo server behind a stream
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { readFull, writeAll } from "../../io/mod.ts";
 * import { memoryPipe } from "../../../tests/support/memory_pipe.ts";
 * import { sessionPair } from "../../../tests/tunnel/session_pair.ts";
 *
 * const { connecting, listening } = await sessionPair();
 * const stream = connecting.open();
 * const [near, far] = memoryPipe();
 * const joined = splice(listening.accept(stream.id), near);
 *
 * await writeAll(stream, new Uint8Array([1, 2, 3]));
 * await stream.closeWrite();
 * const got = new Uint8Array(3);
 * await readFull(far, got);
 * assertEquals(got, new Uint8Array([1, 2, 3]));
 *
 * await writeAll(far, new Uint8Array([4, 5]));
 * await far.closeWrite();
 * assertEquals(await stream.read(new Uint8Array(9)), 2);
 * assertEquals(await stream.read(new Uint8Array(9)), null);
 * assertEquals(await joined, { sent: 2, received: 3, error: undefined });
 * await Promise.all([connecting.close(), listening.close()]);
 * ```
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

/** Writes everything that the stream receives to the pipe; resolves at the end, also after a failure. */
function receiveAll(stream: TunnelStream, pipe: BytePipe, fail: Fail): Promise<void> {
  return new Receiver(stream, pipe, fail).whole;
}

/**
 * Writes each piece within the call that delivers it, if the pipe is free: the bytes are in the
 * processor's cache then, and are not once the connection was read again.
 */
class Receiver {
  readonly #stream: TunnelStream;
  readonly #pipe: BytePipe;
  readonly #fail: Fail;
  readonly #whole = Promise.withResolvers<void>();
  /** A piece or the end is being written, or nothing more will be. */
  #busy = false;
  /** The piece that is being written. */
  #piece: Piece | undefined;
  /** Bytes of it that are written. */
  #done = 0;

  constructor(stream: TunnelStream, pipe: BytePipe, fail: Fail) {
    this.#stream = stream;
    this.#pipe = pipe;
    this.#fail = fail;
    // Close the socket of a stream that fails while a write is under way: the write ends with it.
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
