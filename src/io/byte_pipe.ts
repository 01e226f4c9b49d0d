/**
 * A connected, bidirectional stream of bytes: a socket, a child's stdio, an in-memory pipe.
 * `Deno.TcpConn` and `Deno.UnixConn` have this shape. Whoever opened the pipe, or was handed it
 * by a documented transfer of ownership, closes it.
 */
export interface BytePipe {
  /**
   * Reads up to `into.length` bytes.
   *
   * @returns how many bytes were read (at least 1), or `null` at the end of the stream.
   */
  read(into: Uint8Array): Promise<number | null>;
  /**
   * Writes some of `from`, at least one byte where it is not empty.
   *
   * @returns how many bytes were taken.
   */
  write(from: Uint8Array): Promise<number>;
  /**
   * True when a small write may wait for the other end to acknowledge the one before it (Nagle's
   * algorithm, RFC 896), which takes it up to 40 ms unless it has something to send itself.
   */
  readonly delaysSmallWrites?: boolean;
  /**
   * Set where one read brings at most so many bytes, however much is there: the records of TLS. Several
   * reads may be under way then; they come in the order in which they were asked for.
   */
  readonly recordBytes?: number;
  /** Who is at the other end, as `HOST:PORT`, where that can be told. */
  readonly peer?: string;
  /** Why whoever is at the other end may not come in, once that is known; he is told so. */
  readonly refusal?: string;
  /** Ends the sending direction; reading goes on. */
  closeWrite(): Promise<void>;
  /** Releases the pipe; pending reads and writes fail. Safe to call twice. */
  close(): void;
}

/** Writes all of `bytes` to `pipe`. */
export async function writeAll(
  pipe: Pick<BytePipe, "write">,
  bytes: Uint8Array,
): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    done += await pipe.write(done === 0 ? bytes : bytes.subarray(done));
  }
}

/**
 * Fills all of `into` from `pipe`.
 *
 * @returns `true` when it was filled, `false` when the stream ended before its first byte.
 * @throws {UnexpectedEndError} when the stream ended in the middle.
 */
export async function readFull(pipe: BytePipe, into: Uint8Array): Promise<boolean> {
  let done = 0;
  while (done < into.length) {
    const n = await pipe.read(into.subarray(done));
    if (n === null) {
      if (done === 0) return false;
      throw new UnexpectedEndError(done, into.length);
    }
    done += n;
  }
  return true;
}

/** The stream ended inside something whose length was known. */
export class UnexpectedEndError extends Error {
  override name = "UnexpectedEndError";
  constructor(got: number, expected: number) {
    super(`The stream ended after ${got} of ${expected} bytes`);
  }
}
