import { assertEquals, assertRejects } from "@std/assert";
import type { BytePipe } from "../../../src/io/mod.ts";
import { ReadBufferPool } from "../../../src/tunnel/connection/buffers.ts";
import * as limits from "../../../src/tunnel/limits.ts";
import { ConnectionReader, type Run } from "../../../src/tunnel/connection/reader.ts";
import { PieceQueue } from "../../../src/tunnel/receive/pieces.ts";
import { pattern } from "../../support/bytes.ts";

const RECORD = 16 * 1024;

/** A pipe whose reads are answered when the test says so, in order, and how they were asked for. */
class AskedPipe implements BytePipe {
  readonly recordBytes?: number;
  readonly #asked: { into: Uint8Array; resolve(n: number | null): void; reject(e: Error): void }[] =
    [];

  constructor(recordBytes?: number) {
    if (recordBytes !== undefined) this.recordBytes = recordBytes;
  }

  get underWay(): number {
    return this.#asked.length;
  }

  read(into: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => this.#asked.push({ into, resolve, reject }));
  }

  bring(...records: readonly Uint8Array[]): void {
    for (const record of records) {
      const { into, resolve } = this.#asked.shift()!;
      into.set(record);
      resolve(record.length);
    }
  }

  end(): void {
    for (const { resolve } of this.#asked.splice(0)) resolve(null);
  }

  fail(error: Error): void {
    for (const { reject } of this.#asked.splice(0)) reject(error);
  }

  write = (from: Uint8Array) => Promise.resolve(from.length);
  closeWrite = () => Promise.resolve();
  close = () => this.fail(new Error("closed"));
}

function bytesOf(run: Run | null): Uint8Array {
  return run!.bytes.subarray(0, run!.length);
}

/** Lets promises that are settled be heard of. */
const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** A pool that knows how many of its buffers are out. */
class CountedPool extends ReadBufferPool {
  out = 0;
  override take() {
    this.out++;
    return super.take();
  }
  override put(buffer: Parameters<ReadBufferPool["put"]>[0]) {
    this.out--;
    super.put(buffer);
  }
}

Deno.test("without records one read is under way at a time", async () => {
  const pipe = new AskedPipe();
  const reader = new ConnectionReader(pipe, new ReadBufferPool());
  const next = reader.next();
  assertEquals(pipe.underWay, 1);
  pipe.bring(pattern(70_000, 1));
  assertEquals(bytesOf(await next), pattern(70_000, 1));
  reader.close();
});

Deno.test("a buffer is filled from its start again unless a reference remains", async () => {
  const pipe = new AskedPipe();
  const reader = new ConnectionReader(pipe, new ReadBufferPool());
  const offsets: number[] = [];
  let held;
  for (const hold of [false, true, false]) {
    const next = reader.next();
    pipe.bring(pattern(1000, 1));
    const run = (await next)!;
    offsets.push(run.bytes.byteOffset);
    if (hold) (held = run.buffer).retain();
  }
  assertEquals(offsets, [0, 0, 1000]);
  held!.release();
  reader.close();
});

Deno.test("several reads of records are under way, and those that have come form one run", async () => {
  const pipe = new AskedPipe(RECORD);
  const reader = new ConnectionReader(pipe, new ReadBufferPool());
  const next = reader.next();
  assertEquals(pipe.underWay, limits.READS_AHEAD);
  const sent = pattern(2 * RECORD + 100, 3);
  pipe.bring(sent.slice(0, RECORD), sent.slice(RECORD, 2 * RECORD), sent.slice(2 * RECORD));
  assertEquals(bytesOf(await next), sent);
  // What follows a short record has a gap before it, and is a run of its own.
  pipe.bring(pattern(RECORD, 4));
  assertEquals(bytesOf(await reader.next()), pattern(RECORD, 4));
  pipe.bring(pattern(10, 5), pattern(20, 6));
  assertEquals(bytesOf(await reader.next()), pattern(10, 5));
  assertEquals(bytesOf(await reader.next()), pattern(20, 6));
  reader.close();
  pipe.close();
  await turn();
});

Deno.test("all bytes before the end are returned, then the end again and again", async () => {
  const pipe = new AskedPipe(RECORD);
  const reader = new ConnectionReader(pipe, new ReadBufferPool());
  const next = reader.next();
  pipe.bring(pattern(5, 1));
  pipe.end();
  assertEquals(bytesOf(await next), pattern(5, 1));
  assertEquals(await reader.next(), null);
  pipe.end();
  assertEquals(await reader.next(), null);
  reader.close();
});

Deno.test("all bytes before an error are returned, then the first error", async () => {
  const pipe = new AskedPipe(RECORD);
  const reader = new ConnectionReader(pipe, new ReadBufferPool());
  const next = reader.next();
  pipe.bring(pattern(5, 1));
  pipe.fail(new Error("reset by the test"));
  assertEquals(bytesOf(await next), pattern(5, 1));
  await assertRejects(() => reader.next(), Error, "reset by the test");
  reader.close();
  pipe.close();
  await turn();
});

Deno.test("a closed reader returns each buffer when its read has ended, and not before", async () => {
  const pool = new CountedPool();
  const pipe = new AskedPipe(RECORD);
  const reader = new ConnectionReader(pipe, pool);
  const next = reader.next();
  // More than one buffer full, two records to a run where they lie in one buffer.
  const whole = 2 * limits.READ_BUFFER / RECORD;
  for (let got = 0; got < whole;) {
    if (got % 2 === 0) pipe.bring(pattern(RECORD, 1), pattern(RECORD, 1));
    const run = (got === 0 ? await next : await reader.next())!;
    got += run.bytes.length / RECORD;
  }
  pipe.bring(pattern(RECORD, 0));
  await turn();
  reader.close();
  assertEquals(pool.out > 0, true, "reads into them are under way");
  pipe.close();
  await turn();
  assertEquals(pool.out, 0);
});

Deno.test("bytes that follow the last piece in its buffer extend it, with one reference", () => {
  const pool = new CountedPool();
  const buffer = pool.take();
  const bytes = buffer.reserve(3000)!;
  buffer.release();
  bytes.set(pattern(3000, 7));
  const queue = new PieceQueue();
  queue.pin(bytes.subarray(0, 1000), buffer);
  queue.pin(bytes.subarray(1000, 2000), buffer);
  // As behind the header of another frame.
  queue.pin(bytes.subarray(2012, 3000), buffer);
  buffer.release();
  const first = queue.shift()!;
  assertEquals(first.bytes, pattern(3000, 7).subarray(0, 2000));
  first.buffer!.release();
  assertEquals(pool.out, 1);
  const second = queue.shift()!;
  assertEquals(second.bytes, pattern(3000, 7).subarray(2012));
  assertEquals(queue.shift(), undefined);
  second.buffer!.release();
  assertEquals(pool.out, 0);
});
