import type { BytePipe } from "../../src/io/mod.ts";

/**
 * Two connected pipes in memory. Each direction holds at most `capacity` bytes, so a writer whose
 * peer does not read waits, as on a socket; `chunk` returns how many bytes a read or write moves at
 * most, so that tests can move single bytes. With `recordBytes` both ends are read in records of that
 * size, several at a time.
 */
export function memoryPipe(
  options: { capacity?: number; chunk?: () => number; recordBytes?: number } = {},
): [MemoryPipeEnd, MemoryPipeEnd] {
  const capacity = options.capacity ?? 65536;
  const chunk = options.chunk ?? (() => Infinity);
  const forth = new Direction(capacity, chunk);
  const back = new Direction(capacity, chunk);
  const ends: [MemoryPipeEnd, MemoryPipeEnd] = [
    new MemoryPipeEnd(back, forth),
    new MemoryPipeEnd(forth, back),
  ];
  if (options.recordBytes !== undefined) {
    for (const end of ends) end.recordBytes = options.recordBytes;
  }
  return ends;
}

/** One end of a memory pipe. */
export class MemoryPipeEnd implements BytePipe {
  recordBytes?: number;
  readonly #incoming: Direction;
  readonly #outgoing: Direction;
  #closed = false;
  /** Reads return in the order of the calls. */
  #lastRead: Promise<number | null> = Promise.resolve(null);

  constructor(incoming: Direction, outgoing: Direction) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  get closed(): boolean {
    return this.#closed;
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.recordBytes === undefined) return this.#incoming.read(into);
    const next = () => this.#incoming.read(into);
    return this.#lastRead = this.#lastRead.then(next, next);
  }

  write(from: Uint8Array): Promise<number> {
    return this.#outgoing.write(from);
  }

  closeWrite(): Promise<void> {
    this.#outgoing.end();
    return Promise.resolve();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // As of a socket: reads of a closed one fail here, writes to it fail at the other end.
    this.#incoming.abandon(
      new Deno.errors.BadResource("Bad resource ID"),
      new Deno.errors.BrokenPipe("Broken pipe (in memory)"),
    );
    this.#outgoing.end();
  }

  /** Both directions fail from now on, at both ends, as after a TCP RST. */
  cut(): void {
    const reset = new Deno.errors.ConnectionReset("Connection reset by peer (in memory)");
    this.#incoming.abandon(reset);
    this.#outgoing.abandon(reset);
  }
}

class Direction {
  readonly #capacity: number;
  readonly #chunk: () => number;
  #buffered: Uint8Array[] = [];
  #size = 0;
  #ended = false;
  #readFailure: Error | undefined;
  #writeFailure: Error | undefined;
  #wake: (() => void)[] = [];

  constructor(capacity: number, chunk: () => number) {
    this.#capacity = capacity;
    this.#chunk = chunk;
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (true) {
      if (this.#readFailure) throw this.#readFailure;
      if (this.#size > 0) {
        const n = this.#take(into.subarray(0, Math.max(1, this.#chunk())));
        this.#changed();
        return n;
      }
      if (this.#ended) return null;
      await this.#change();
    }
  }

  /** Like a socket: returns all that is there, however it was written. */
  #take(into: Uint8Array): number {
    let n = 0;
    for (let first; n < into.length && (first = this.#buffered[0]) !== undefined;) {
      const part = first.subarray(0, into.length - n);
      into.set(part, n);
      n += part.length;
      if (part.length === first.length) this.#buffered.shift();
      else this.#buffered[0] = first.subarray(part.length);
    }
    this.#size -= n;
    return n;
  }

  async write(from: Uint8Array): Promise<number> {
    if (from.length === 0) return 0;
    while (true) {
      if (this.#writeFailure) throw this.#writeFailure;
      if (this.#ended) throw new Deno.errors.BrokenPipe("Broken pipe (in memory)");
      const room = this.#capacity - this.#size;
      if (room > 0) {
        const n = Math.min(room, from.length, Math.max(1, this.#chunk()));
        this.#buffered.push(from.slice(0, n));
        this.#size += n;
        this.#changed();
        return n;
      }
      await this.#change();
    }
  }

  end(): void {
    this.#ended = true;
    this.#changed();
  }

  abandon(readFailure: Error, writeFailure = readFailure): void {
    this.#readFailure ??= readFailure;
    this.#writeFailure ??= writeFailure;
    this.#changed();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}
