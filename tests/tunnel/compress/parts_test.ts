import { assertEquals } from "@std/assert";
import type { Compressed } from "../../../src/tunnel/compress/compressor.ts";
import { Pays } from "../../../src/tunnel/compress/pays.ts";
import { StreamGain } from "../../../src/tunnel/compress/stream_gain.ts";
import {
  WorkerCompressor,
  type WorkerLike,
} from "../../../src/tunnel/compress/worker_compressor.ts";
import { silentLogger, systemClock } from "../../../src/io/mod.ts";
import { limits } from "../../../src/tunnel/mod.ts";
import { pattern } from "../../support/bytes.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import { decompressor } from "./compressed.ts";

const MiB = 1 << 20;

Deno.test("a stream that does not shrink is tried again after 16 MiB, 32, ... 256", () => {
  const gain = new StreamGain();
  for (let i = 0; i < limits.BAD_PIECES; i++) {
    assertEquals(gain.wants(0), true);
    gain.started();
    gain.done(false, 0);
  }
  let at = 0;
  for (const pause of [16, 32, 64, 128, 256, 256]) {
    assertEquals(gain.wants(at + pause * MiB - 1), false);
    at += pause * MiB;
    assertEquals(gain.wants(at), true);
    gain.started();
    assertEquals(gain.wants(at), false, "one piece is tried, not more");
    gain.done(false, at);
  }
  at += 256 * MiB;
  gain.started();
  gain.done(true, at);
  assertEquals(gain.wants(at), true);
});

Deno.test("some pieces that do not shrink among others that do pause nothing", () => {
  const gain = new StreamGain();
  for (let i = 0; i < 100; i++) gain.done(i % limits.BAD_PIECES === 0, i);
  assertEquals(gain.wants(100), true);
});

Deno.test("compressing pays only while bytes wait for a connection that is well slower", () => {
  const queue = { waitingRate: undefined as number | undefined, alwaysWaits: true };
  const pays = new Pays(queue);
  assertEquals(pays.now(0), false);
  queue.waitingRate = 25_000;
  assertEquals(pays.now(0), true);
  queue.waitingRate = limits.COMPRESS_RATE;
  assertEquals(pays.now(0), false);
  // A factor to begin, and a lower one to continue: measurements that vary must not switch it.
  queue.waitingRate = limits.COMPRESS_RATE / 1.8;
  assertEquals(pays.now(0), false);
  queue.waitingRate = limits.COMPRESS_RATE / 2;
  assertEquals(pays.now(0), true);
  queue.waitingRate = limits.COMPRESS_RATE / 1.3;
  assertEquals(pays.now(0), true);
});

Deno.test("bytes that wait only now and then are compressed for a slow connection", () => {
  const queue = { waitingRate: limits.COMPRESS_RATE / 3, alwaysWaits: false };
  const pays = new Pays(queue);
  assertEquals(pays.now(0), false);
  queue.alwaysWaits = true;
  assertEquals(pays.now(0), true);
  queue.alwaysWaits = false;
  assertEquals(pays.now(0), true, "once begun it continues");
  const slow = { waitingRate: limits.COMPRESS_RATE / 4, alwaysWaits: false };
  assertEquals(new Pays(slow).now(0), true);
});

Deno.test("a piece that took long by chance does not stop the compression", () => {
  const pays = new Pays({ waitingRate: 25_000, alwaysWaits: true });
  for (let i = 0; i < 20; i++) pays.measured(100_000, 1);
  pays.measured(100_000, 15);
  assertEquals(pays.now(0), true);
});

Deno.test("a compressor that is slow on a busy processor is tried again soon", () => {
  const pays = new Pays({ waitingRate: 25_000, alwaysWaits: true });
  pays.started(0);
  for (let i = 0; i < 100; i++) pays.measured(30_000, 1);
  assertEquals(pays.now(limits.COMPRESS_RETRY_MS - 1), false);
  assertEquals(pays.now(limits.COMPRESS_RETRY_MS), true);
  pays.started(limits.COMPRESS_RETRY_MS);
  assertEquals(pays.now(limits.COMPRESS_RETRY_MS + 1), false);
  for (let i = 0; i < 4; i++) pays.measured(300_000, 1);
  assertEquals(pays.now(limits.COMPRESS_RETRY_MS + 1), true);
});

class FakeWorker implements WorkerLike {
  onmessage: ((event: MessageEvent) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  terminated = false;
  readonly got: number[] = [];
  postMessage(message: { raw: ArrayBuffer }): void {
    this.got.push(message.raw.byteLength);
  }
  answer(bytes: ArrayBuffer | null): void {
    this.onmessage!({ data: { bytes, tookMs: 1 } } as MessageEvent);
  }
  terminate(): void {
    this.terminated = true;
  }
}

function compressor(worker: FakeWorker, clock = new ManualClock()) {
  const made = new WorkerCompressor({ clock, log: silentLogger, startWorker: () => worker });
  const results: Compressed[] = [];
  const compress = (length: number) =>
    made.compress(pattern(length), 16, (result) => results.push(result));
  return { made, compress, results, clock };
}

Deno.test("a worker that does not answer for 5 s gives back every piece as it was", async () => {
  const worker = new FakeWorker();
  const { made, compress, results, clock } = compressor(worker);
  compress(100);
  compress(200);
  await clock.advance(limits.COMPRESS_TICK_MS * (limits.COMPRESS_TICKS - 1));
  worker.answer(new ArrayBuffer(50));
  await clock.advance(limits.COMPRESS_TICK_MS * (limits.COMPRESS_TICKS - 1));
  assertEquals([results.length, made.failed], [1, false]);
  await clock.advance(2 * limits.COMPRESS_TICK_MS);
  assertEquals([made.failed, worker.terminated, made.jobs], [true, true, 0]);
  assertEquals(results.map(({ bytes }) => bytes?.length), [50, undefined]);
  compress(300);
  await settle();
  assertEquals([results.length, worker.got], [3, [100, 200]]);
  assertEquals(clock.armed, 0);
});

Deno.test("an error in the worker gives back every piece as it was", async () => {
  const worker = new FakeWorker();
  const { made, compress, results } = compressor(worker);
  compress(100);
  let prevented = false;
  const event = { message: "out of memory", preventDefault: () => prevented = true };
  worker.onerror!(event as unknown as ErrorEvent);
  await settle();
  assertEquals([made.failed, prevented, results.length], [true, true, 1]);
});

Deno.test("where no worker can be started, pieces come back as they were", async () => {
  const made = new WorkerCompressor({
    clock: systemClock,
    log: silentLogger,
    startWorker: () => {
      throw new Error("no workers here");
    },
  });
  const results: Compressed[] = [];
  made.compress(pattern(10), 0, (result) => results.push(result));
  assertEquals(results.length, 0, "never within the call");
  await settle();
  assertEquals([made.failed, results[0]?.bytes], [true, undefined]);
});

Deno.test("the worker compresses what shrinks and gives back the rest", async () => {
  const made = new WorkerCompressor({ clock: systemClock, log: silentLogger });
  const decompress = await decompressor();
  const text = new Uint8Array(limits.MAX_RAW).fill(7);
  const one = (raw: Uint8Array) =>
    new Promise<Compressed>((resolve) => made.compress(raw, 16, resolve));
  const [shrunk, random] = await Promise.all([one(text), one(pattern(9000))]);
  assertEquals(random.bytes, undefined);
  assertEquals(decompress(shrunk.bytes!.subarray(16), text.length), text);
  made.close();
});
