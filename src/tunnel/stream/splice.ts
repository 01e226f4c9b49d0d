import { afterStall, type BytePipe, type Clock, messageOf, systemClock } from "../../io/mod.ts";
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
 * How long the peer may take for what it was sent before the local socket's other end closed, without
 * any progress, ms.
 */
const LINGER_MS = 5000;

/**
 * Joins a socket and a stream: bytes both ways. The end of either direction becomes a half-close of
 * the other side, a failure becomes a reset with its reason. Owns both and closes them. Never
 * rejects.
 *
 * A program may close its socket before it has read everything. What it wrote last is delivered then, and
 * what was meant for it is dropped. A stream that the peer does not end after that is reset.
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
export async function splice(
  stream: TunnelStream,
  pipe: BytePipe,
  { clock = systemClock }: { readonly clock?: Clock } = {},
): Promise<SpliceResult> {
  let error: Error | undefined;
  let isOver = false;
  let stopLinger = () => {};
  const fail = (code: ResetCode, what: string) => (cause: unknown) => {
    if (error === undefined) {
      error = stream.failure ?? new StreamResetError(code, `${what}: ${messageOf(cause)}`, "us");
      stream.reset(code, error.message);
    }
    // Wakes the other direction's read or write.
    pipe.close();
  };
  const notRead = fail("read-failed", "The local socket could not be read");
  const notWritten = fail("write-failed", "The local socket took no bytes");
  const receiver = new Receiver(stream, pipe, notWritten);
  const sent = sendAll(pipe, stream, notRead);
  Promise.all([sent, receiver.dropped]).then(([, cause]) => {
    error ??= cause;
    if (isOver) return;
    stopLinger = afterStall(clock, LINGER_MS, () => stream.sendProgress, () => {
      stream.reset("write-failed", messageOf(cause));
    });
  });
  await Promise.all([sent, receiver.whole]);
  isOver = true;
  stopLinger();
  pipe.close();
  return { sent: stream.bytesSent, received: stream.bytesReceived, error };
}

/** The other end of the socket has closed it. What it wrote before can be read all the same. */
function isClosedThere(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset;
}

type Fail = (cause: unknown) => void;

async function sendAll(pipe: BytePipe, stream: TunnelStream, fail: Fail): Promise<void> {
  try {
    while (true) {
      const room = stream.tryReserve() ?? await stream.reserve();
      const n = await readSome(pipe, room);
      if (n === null) break;
      stream.commit(n);
    }
    await stream.closeWrite();
  } catch (error) {
    fail(error);
  }
}

/** As `read`. A reset comes after the last byte, if the other end closed without reading everything. */
async function readSome(pipe: BytePipe, into: Uint8Array): Promise<number | null> {
  try {
    return await pipe.read(into);
  } catch (error) {
    if (isClosedThere(error)) return null;
    throw error;
  }
}

/**
 * Writes everything that the stream receives to the pipe. Writes each piece within the call that delivers it, if the pipe is free: the bytes are in the
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
  readonly #dropped = Promise.withResolvers<Error>();
  #drops = false;

  constructor(stream: TunnelStream, pipe: BytePipe, fail: Fail) {
    this.#stream = stream;
    this.#pipe = pipe;
    this.#fail = fail;
    // Close the socket of a stream that fails while a write is under way: the write ends with it.
    stream.ended.then(() => stream.failure && fail(stream.failure));
    stream.onReadable(this.#pump);
    this.#pump();
  }

  /** Resolves when the stream has ended, also after a failure. */
  get whole(): Promise<void> {
    return this.#whole.promise;
  }

  /** Resolves, with the reason, once bytes are dropped: the other end of the pipe has closed it. */
  get dropped(): Promise<Error> {
    return this.#dropped.promise;
  }

  readonly #pump = (): void => {
    if (this.#busy) return;
    const piece = this.#drops ? this.#dropAll() : this.#stream.takePiece();
    if (piece === undefined) {
      if (this.#stream.failure) this.#giveUp(this.#stream.failure);
      return;
    }
    this.#busy = true;
    if (piece === null) {
      this.#pipe.closeWrite().then(this.#whole.resolve, this.#closeFailed);
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
    if (!isClosedThere(error)) return this.#giveUp(error);
    this.#drops = true;
    this.#dropped.resolve(error as Error);
    this.#busy = false;
    this.#pump();
  };

  #dropAll(): null | undefined {
    let piece: Piece | null | undefined;
    while ((piece = this.#stream.takePiece())) this.#stream.consume(piece);
    return piece;
  }

  readonly #closeFailed = (error: unknown): void => {
    if (isClosedThere(error) || error instanceof Deno.errors.NotConnected) this.#whole.resolve();
    else this.#giveUp(error);
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
