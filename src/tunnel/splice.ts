import { type BytePipe, messageOf, writeAll } from "../io/mod.ts";
import { StreamResetError } from "./errors.ts";
import type { TunnelStream } from "./stream.ts";
import type { ResetCode } from "./wire.ts";

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
      const room = await stream.reserve();
      const n = await pipe.read(room);
      if (n === null) break;
      stream.commit(n);
    }
    await stream.closeWrite();
  } catch (error) {
    fail(error);
  }
}

/**
 * Writes each piece within the call that brings it, where the pipe is free: the bytes are still in the
 * processor's cache then, and no longer once the connection has been read again.
 */
function receiveAll(stream: TunnelStream, pipe: BytePipe, fail: Fail): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let busy = false;
  const giveUp = (error: unknown) => {
    busy = true;
    fail(error);
    resolve();
  };
  const pump = () => {
    if (busy) return;
    const piece = stream.takePiece();
    if (piece === undefined) {
      if (stream.failure) giveUp(stream.failure);
      return;
    }
    busy = true;
    if (piece === null) {
      pipe.closeWrite().then(resolve, giveUp);
      return;
    }
    writeAll(pipe, piece.bytes).then(() => {
      stream.consume(piece);
      busy = false;
      pump();
    }, (error) => {
      stream.consume(piece);
      giveUp(error);
    });
  };
  // A stream that fails while a write is under way must still close the socket.
  stream.ended.then(() => stream.failure && fail(stream.failure));
  stream.onReadable(pump);
  pump();
  return promise;
}
