import type { BytePipe } from "../../io/mod.ts";

/** What one read of Deno's TLS returns at most, bytes: the plain text of one record. */
const RECORD = 16 * 1024;
/** Reads that are under way at a time. */
const DEPTH = 8;

/** A read that is under way, or its outcome. */
interface Ahead {
  readonly bytes: Uint8Array;
  readonly settled: Promise<void>;
  /** Bytes read, `null` at the end of the stream; `undefined` while it is under way. */
  n: number | null | undefined;
  error: unknown;
  /** Bytes of it that were handed on. */
  taken: number;
}

/**
 * Keeps several reads under way on a connection whose reads are small: each turn of the event loop
 * then brings several of them, which makes receiving over TLS about a third cheaper. They come in
 * the order in which they were asked for.
 */
export class ReadAhead {
  readonly #conn: Pick<BytePipe, "read">;
  readonly #ahead: Ahead[] = [];
  readonly #spare: Uint8Array[] = [];

  constructor(conn: Pick<BytePipe, "read">) {
    this.#conn = conn;
  }

  /** As `BytePipe.read`; one at a time. */
  async read(into: Uint8Array): Promise<number | null> {
    while (this.#ahead.length < DEPTH) this.#ask();
    await this.#ahead[0]!.settled;
    let filled = 0;
    while (filled < into.length) {
      const first = this.#ahead[0]!;
      if (first.n === undefined) break;
      // The end and errors stay in front: whoever reads again meets them again.
      if (first.error !== undefined || first.n === null) {
        if (filled > 0) break;
        if (first.error !== undefined) throw first.error;
        return null;
      }
      const part = first.bytes.subarray(
        first.taken,
        Math.min(first.n, first.taken + into.length - filled),
      );
      into.set(part, filled);
      filled += part.length;
      first.taken += part.length;
      if (first.taken < first.n) break;
      this.#ahead.shift();
      this.#spare.push(first.bytes);
      this.#ask();
    }
    return filled;
  }

  #ask(): void {
    const bytes = this.#spare.pop() ?? new Uint8Array(RECORD);
    const { promise, resolve } = Promise.withResolvers<void>();
    const ahead: Ahead = { bytes, settled: promise, n: undefined, error: undefined, taken: 0 };
    this.#conn.read(bytes).then(
      (n) => {
        ahead.n = n;
        resolve();
      },
      (error) => {
        ahead.n = 0;
        ahead.error = error ?? new Error("The read failed");
        resolve();
      },
    );
    this.#ahead.push(ahead);
  }
}
