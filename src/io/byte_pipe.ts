/**
 * A connected, bidirectional stream of bytes: a socket, a child's stdio, an in-memory pipe.
 * `Deno.TcpConn` and `Deno.UnixConn` have this shape. Its creator closes it, unless a docstring says
 * that ownership passes on.
 */
export interface BytePipe {
  /**
   * Reads up to `into.length` bytes. Rejects when the connection fails.
   *
   * @returns how many bytes were read (at least 1), or `null` at the end of the stream.
   */
  read(into: Uint8Array): Promise<number | null>;
  /**
   * Writes some of `from`, at least one byte unless it is empty. Rejects when the connection fails.
   *
   * @returns how many bytes were taken.
   */
  write(from: Uint8Array): Promise<number>;
  /**
   * True when a small write may wait until the previous one is acknowledged (Nagle's algorithm, RFC
   * 896): up to 40 ms, unless the other end sends something itself.
   */
  readonly delaysSmallWrites?: boolean;
  /**
   * Set where one read returns this many bytes at most, because it returns one TLS record. Several
   * reads may be under way then; they return in the order of the calls.
   */
  readonly recordBytes?: number;
  /** Address of the other end, as `HOST:PORT`, if it has one. */
  readonly peer?: string;
  /** Why the other end is not allowed in, once the transport knows; the handshake refuses with it. */
  readonly refusal?: string;
  /** Ends the sending direction; reading goes on. */
  closeWrite(): Promise<void>;
  /** Releases the pipe; pending reads and writes fail. Safe to call twice. */
  close(): void;
}

/** Writes all of `bytes` to `pipe`. Rejects as its `write`. */
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
 * @returns `true` when it was filled, `false` when the stream ended before the first byte.
 * @throws {UnexpectedEndError} when the stream ended after some bytes.
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

/** The stream ended inside something of a known length. */
export class UnexpectedEndError extends Error {
  /** The class, also in a bundle. */
  override name = "UnexpectedEndError";
  /** Both in bytes. */
  constructor(got: number, expected: number) {
    super(`The stream ended after ${got} of ${expected} bytes`);
  }
}
