import { assert, assertEquals, assertRejects } from "@std/assert";
import { writeAll } from "../../../src/io/mod.ts";
import { StreamResetError } from "../../../src/tunnel/errors.ts";
import { limits } from "../../../src/tunnel/mod.ts";
import { concat, pattern, readAll } from "../../support/bytes.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import { type PairOptions, sessionPair } from "../session_pair.ts";
import { decompressor, TestCompressor } from "./compressed.ts";

const decompress = await decompressor();
const TEXT = new TextEncoder().encode("a line that shrinks\n".repeat(2000));

async function pair(compressor: TestCompressor, mode: "auto" | "on" = "on", more?: PairOptions) {
  const compression = { mode, start: () => compressor };
  const { connecting, listening } = await sessionPair({ decompress, compression, ...more });
  const a = connecting.open();
  return { connecting, listening, a, b: listening.accept(a.id) };
}

Deno.test("compressed bytes arrive as they were, in order, and fewer cross", async () => {
  const { connecting, listening, a, b } = await pair(new TestCompressor());
  const parts = [TEXT, pattern(100_000), TEXT, pattern(10), TEXT];
  const sending = writeAll(a, concat(parts)).then(() => a.closeWrite());
  assertEquals(await readAll(b), concat(parts));
  await Promise.all([sending, b.closeWrite()]);
  assertEquals(await connecting.close(), undefined);
  const { raw, wire } = connecting.data;
  assertEquals(raw, concat(parts).length);
  assert(wire < 120_000, `${wire} bytes crossed`);
  assertEquals(listening.data, { raw, wire });
});

Deno.test("a peer that does not offer it gets nothing compressed", async () => {
  const compressor = new TestCompressor();
  const { connecting, a, b } = await pair(compressor, "on", { decompress: undefined! });
  const sending = writeAll(a, TEXT).then(() => a.closeWrite());
  assertEquals(await readAll(b), TEXT);
  await Promise.all([sending, b.closeWrite()]);
  await connecting.close();
  assertEquals(compressor.count, 0);
  assertEquals(connecting.data, { raw: TEXT.length, wire: TEXT.length });
});

Deno.test("a piece that is being compressed holds back its own stream alone", async () => {
  const compressor = new TestCompressor(true);
  const { connecting, listening, a, b } = await pair(compressor);
  await writeAll(a, TEXT.subarray(0, 8192));
  await a.write(pattern(10));
  const other = connecting.open();
  const there = listening.accept(other.id);
  await other.write(pattern(20));
  assertEquals(await there.read(new Uint8Array(30)), 20);
  assertEquals(b.bytesReceived, 0);
  compressor.release();
  const got = new Uint8Array(8202);
  for (let n = 0; n < got.length;) n += (await b.read(got.subarray(n)))!;
  assertEquals(got, concat([TEXT.subarray(0, 8192), pattern(10)]));
  connecting.abort("test over", "stopped");
});

Deno.test("small pieces are never compressed", async () => {
  const compressor = new TestCompressor();
  const { connecting, a, b } = await pair(compressor);
  await writeAll(a, new Uint8Array(limits.MIN_COMPRESSED - 1));
  assertEquals(await b.read(new Uint8Array(8192)), limits.MIN_COMPRESSED - 1);
  assertEquals(compressor.count, 0);
  connecting.abort("test over", "stopped");
});

Deno.test("a reset while pieces are being compressed gives the offset that was sent", async () => {
  const compressor = new TestCompressor(true);
  const { connecting, listening, a, b } = await pair(compressor);
  await writeAll(a, TEXT.subarray(0, 8192));
  compressor.release();
  await writeAll(a, TEXT.subarray(0, 9000));
  await settle();
  a.reset("cancelled", "not wanted");
  const error = await assertRejects(() => readAll(b), StreamResetError);
  assertEquals([error.message, b.bytesReceived], ["not wanted", 8192]);
  // What comes back for a stream that is over goes nowhere.
  compressor.release();
  await settle();
  assertEquals([connecting.state, listening.state], ["up", "up"]);
  connecting.abort("test over", "stopped");
});

Deno.test("a reset of compressed frames that wait gives the offset that was sent", async () => {
  const { connecting, listening, a, b } = await pair(new TestCompressor());
  connecting.setBandwidth(1);
  const writing = assertRejects(() => writeAll(a, concat([TEXT, TEXT, TEXT])), StreamResetError);
  while (b.bytesReceived === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
  const received = b.bytesReceived;
  a.reset("cancelled", "not wanted");
  await writing;
  await assertRejects(() => readAll(b), StreamResetError, "not wanted");
  assertEquals([b.bytesReceived, listening.state], [received, "up"]);
  connecting.abort("test over", "stopped");
});

Deno.test("when the session ends, its compressor is closed", async () => {
  const compressor = new TestCompressor(true);
  const { connecting, a } = await pair(compressor);
  await writeAll(a, TEXT.subarray(0, 8192));
  connecting.abort("test over", "stopped");
  assertEquals(compressor.jobs, 0);
});

Deno.test("a compressor that has failed holds nothing back", async () => {
  const compressor = new TestCompressor();
  compressor.failed = true;
  const { connecting, a, b } = await pair(compressor);
  const sending = writeAll(a, TEXT).then(() => a.closeWrite());
  assertEquals(await readAll(b), TEXT);
  await Promise.all([sending, b.closeWrite()]);
  await connecting.close();
  assertEquals(connecting.data.wire, TEXT.length);
});

Deno.test("auto compresses nothing while the connection takes everything at once", async () => {
  const compressor = new TestCompressor();
  const clock = new ManualClock();
  const { connecting, a, b } = await pair(compressor, "auto", { clock });
  for (let i = 0; i < 20; i++) {
    await clock.advance(1);
    await a.write(TEXT.subarray(0, 8192));
    assertEquals(await b.read(new Uint8Array(8192)), 8192);
  }
  assertEquals(compressor.count, 0);
  connecting.abort("test over", "stopped");
});

Deno.test("auto compresses what has to wait for a limit of the bandwidth", async () => {
  const compressor = new TestCompressor();
  // On a busy machine this program would be what bytes wait for.
  const clock = new ManualClock();
  const { connecting, a, b } = await pair(compressor, "auto", { clock });
  connecting.setBandwidth(2_000_000);
  let isOver = false;
  const sending = writeAll(a, concat(Array(10).fill(TEXT))).then(() => a.closeWrite());
  const reading = readAll(b).finally(() => isOver = true);
  while (!isOver) {
    await clock.advance(1);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assertEquals((await reading).length, 10 * TEXT.length);
  assert(compressor.count > 0);
  assert(connecting.data.wire < connecting.data.raw / 2);
  await Promise.all([sending, b.closeWrite()]);
  await connecting.close();
});
