import type { Acceptor, BytePipe, Clock } from "../../src/io/mod.ts";
import { memoryPipe, type MemoryPipeEnd } from "./memory_pipe.ts";

/** Hashes and signatures under way in threads, which the event loop's turns do not count. */
let computing = 0;
for (const name of ["digest", "sign"] as const) {
  const compute = crypto.subtle[name].bind(crypto.subtle) as (...args: unknown[]) => Promise<never>;
  crypto.subtle[name] = async (...args: unknown[]) => {
    computing++;
    try {
      return await compute(...args);
    } finally {
      computing--;
    }
  };
}

/**
 * A clock on which everything takes a hundredth of its time. It counts turns of the event loop, and
 * none while a thread computes: on a busy machine both ends become slow together, so no deadline
 * passes because of that.
 */
class HurriedClock implements Clock {
  static readonly #TURN_MS = 100;
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>();
  #turn: ReturnType<typeof setTimeout> | undefined;

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.add(timer);
    this.#turn ??= setTimeout(() => this.#next(), 1);
    return () => {
      this.#timers.delete(timer);
      if (this.#timers.size === 0) this.#stop();
    };
  }

  #next(): void {
    this.#turn = undefined;
    if (computing === 0) this.#now += HurriedClock.#TURN_MS;
    for (const timer of [...this.#timers].sort((a, b) => a.at - b.at)) {
      if (timer.at > this.#now) break;
      if (this.#timers.delete(timer)) timer.callback();
    }
    if (this.#timers.size > 0) this.#turn ??= setTimeout(() => this.#next(), 1);
  }

  #stop(): void {
    clearTimeout(this.#turn);
    this.#turn = undefined;
  }
}

export const hurriedClock: Clock = new HurriedClock();

/** Cuts a connection after this many bytes written by one of its ends. */
export interface Cut {
  readonly by: "connecting" | "listening";
  readonly after: number;
}

/**
 * A network in memory: `dial` makes a connection that `acceptor` accepts. The n-th connection is
 * cut where `cutOf(n)` says, counting from 0.
 */
export function memoryNetwork(
  cutOf: (connection: number) => Cut | undefined = () => undefined,
  options: { capacity?: number; recordBytes?: number } = {},
): { dial: () => Promise<BytePipe>; acceptor: Acceptor; connections: () => number } {
  const waiting: BytePipe[] = [];
  let wake: (() => void) | undefined;
  let closed = false;
  let count = 0;
  return {
    connections: () => count,
    dial() {
      if (closed) return Promise.reject(new Error("connection refused (in memory)"));
      const cut = cutOf(count++);
      const [a, b] = memoryPipe({ ...options, capacity: options.capacity ?? 65536 });
      waiting.push(cut?.by === "listening" ? new CutPipe(b, cut.after) : b);
      wake?.();
      return Promise.resolve(cut?.by === "connecting" ? new CutPipe(a, cut.after) : a);
    },
    acceptor: {
      address: "memory",
      async accept() {
        while (waiting.length === 0) {
          if (closed) return undefined;
          await new Promise<void>((resolve) => wake = resolve);
        }
        return waiting.shift();
      },
      close() {
        closed = true;
        wake?.();
      },
    },
  };
}

/** Passes `left` written bytes on and cuts the connection at the next one. */
class CutPipe implements BytePipe {
  readonly recordBytes?: number;
  #left: number;
  constructor(readonly inner: MemoryPipeEnd, left: number) {
    this.#left = left;
    if (inner.recordBytes !== undefined) this.recordBytes = inner.recordBytes;
  }
  read(into: Uint8Array): Promise<number | null> {
    return this.inner.read(into);
  }
  async write(from: Uint8Array): Promise<number> {
    if (this.#left === 0) {
      this.inner.cut();
      throw new Deno.errors.ConnectionReset("cut by the test");
    }
    const n = await this.inner.write(from.subarray(0, this.#left));
    this.#left -= n;
    return n;
  }
  closeWrite(): Promise<void> {
    return this.inner.closeWrite();
  }
  close(): void {
    this.inner.close();
  }
}
