import { assert, assertEquals, assertRejects } from "@std/assert";
import { type BytePipe, writeAll } from "../../src/io/mod.ts";
import { PacedPipe } from "../../src/migrate/paced_pipe.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";

/** A reader behind a buffer without an end that takes `rate` bytes in a ms, and says so when asked. */
class Reader {
  readonly clock = new ManualClock();
  written = 0;
  /** The most that it had before it at a time. */
  most = 0;
  fails = false;
  readonly #rate: number;
  #doneAt = 0;

  constructor(rate: number) {
    this.#rate = rate;
  }

  readonly pipe: BytePipe = {
    read: () => Promise.resolve(null),
    write: (from) => {
      this.written += from.length;
      const now = this.clock.now();
      this.#doneAt = Math.max(this.#doneAt, now) + from.length / this.#rate;
      this.most = Math.max(this.most, (this.#doneAt - now) * this.#rate);
      return Promise.resolve(from.length);
    },
    closeWrite: () => Promise.resolve(),
    close: () => {},
  };

  readonly settled = (): Promise<void> => {
    if (this.fails) return Promise.reject(new Error("QEMU has ended"));
    const wait = Math.max(0.5, this.#doneAt - this.clock.now());
    return new Promise((resolve) => this.clock.after(wait, resolve));
  };
}

function paced(rate: number): { reader: Reader; pipe: PacedPipe } {
  const reader = new Reader(rate);
  return { reader, pipe: new PacedPipe(reader.pipe, reader) };
}

async function carry(reader: Reader, pipe: PacedPipe, bytes: number): Promise<number> {
  const start = reader.clock.now();
  let over = false;
  writeAll(pipe, new Uint8Array(bytes)).finally(() => over = true);
  await settle();
  while (!over) await reader.clock.advance(0.5);
  return reader.clock.now() - start;
}

Deno.test("a slow reader never has much before it", async () => {
  const { reader, pipe } = paced(450);
  await carry(reader, pipe, 400_000);
  assertEquals(reader.written, 400_000);
  assert(reader.most <= 16 * 1024, `${reader.most} bytes are ${reader.most / 450} ms`);
  reader.most = 0;
  await carry(reader, pipe, 100_000);
  assert(reader.most / 450 < 20, `${reader.most / 450} ms`);
});

Deno.test("a fast reader hardly waits", async () => {
  const rate = 1e6;
  const { reader, pipe } = paced(rate);
  const bytes = 256e6;
  const took = await carry(reader, pipe, bytes);
  assert(took < 1.2 * bytes / rate, `${took} ms instead of ${bytes / rate}`);
  assert(reader.most / rate < 20, `${reader.most / rate} ms`);
});

Deno.test("a reader that can't be asked is given all there is", async () => {
  const { reader, pipe } = paced(1);
  reader.fails = true;
  await writeAll(pipe, new Uint8Array(1 << 20));
  assertEquals(reader.written, 1 << 20);
});

Deno.test("who waits for the reader is woken when the pipe is closed", async () => {
  const { reader, pipe } = paced(1);
  const below = { ...reader.pipe, write: (from: Uint8Array) => reader.pipe.write(from) };
  const waiting = new PacedPipe(below, { ...reader, settled: () => new Promise(() => {}) });
  const writing = writeAll(waiting, new Uint8Array(1 << 20));
  await settle();
  below.write = () => Promise.reject(new Error("It was closed"));
  waiting.close();
  await assertRejects(() => writing, Error, "It was closed");
  pipe.close();
});
