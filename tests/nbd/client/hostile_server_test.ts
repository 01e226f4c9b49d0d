import { assert, assertEquals, assertRejects } from "@std/assert";
import { NbdClient, NbdDeviceError, NbdError } from "../../../src/nbd/mod.ts";
import { concat } from "../../support/bytes.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { ACK, exportInfo, GREETING, hex, INFO, reply, text, u16, u32, u64 } from "../dialogue.ts";
import { chunk, FakeServer, NEGOTIATED, SIMPLE, simple, SIZE } from "./answering.ts";

const DATA = (offset: number | bigint, data: string) => concat([u64(offset), text(data)]);
const HOLE = (offset: number, length: number) => concat([u64(offset), u32(length)]);
const ERROR = (errno: number, message: string, length = text(message).length) =>
  concat([u32(errno), u16(length), text(message)]);

/** What a server answers to a read of 8 bytes at 512 breaks the protocol. */
const BROKEN_READS: readonly [string, (cookie: bigint) => Uint8Array][] = [
  ["a simple reply where structured ones are due", (c) => simple(c, 0, text("12345678"))],
  ["a simple error where structured ones are due", (c) => simple(c, 5)],
  ["data before the range", (c) => chunk(c, 1, 1, DATA(511, "12345678"))],
  ["data after the range", (c) => chunk(c, 1, 1, DATA(513, "12345678"))],
  ["data at an offset over 2^53", (c) => chunk(c, 1, 1, DATA(2n ** 63n, "12345678"))],
  ["too much data", (c) => chunk(c, 1, 1, DATA(512, "123456789"))],
  ["too little data", (c) => chunk(c, 1, 1, DATA(512, "1234567"))],
  ["no data", (c) => chunk(c, 1, 0, new Uint8Array())],
  ["a chunk of no data", (c) => chunk(c, 1, 1, u64(512))],
  ["a part twice", (c) =>
    concat([
      chunk(c, 0, 1, DATA(512, "1234")),
      chunk(c, 1, 1, DATA(515, "45678")),
    ])],
  ["a hole over data", (c) =>
    concat([
      chunk(c, 0, 1, DATA(512, "12345678")),
      chunk(c, 1, 2, HOLE(512, 4)),
    ])],
  ["a hole of 0 bytes", (c) => chunk(c, 1, 2, HOLE(512, 0))],
  ["a hole of another length", (c) => chunk(c, 1, 2, concat([HOLE(512, 8), u32(0)]))],
  ["a hole outside the range", (c) => chunk(c, 1, 2, HOLE(512, 9))],
  ["the end without the flag", (c) => chunk(c, 0, 0, new Uint8Array())],
  ["an end with a payload", (c) => chunk(c, 1, 0, u32(0))],
  ["a block status", (c) => chunk(c, 1, 5, concat([u32(9), u32(8), u32(0)]))],
  ["a chunk of an unknown type", (c) => chunk(c, 1, 99, new Uint8Array(4))],
  ["an error that is too short", (c) => chunk(c, 1, 0x8001, u32(5))],
  ["an error with a message longer than itself", (c) => chunk(c, 1, 0x8001, ERROR(5, "abc", 4))],
  ["an error without end", (c) => concat([hex("668e33ef 0001 8001"), u64(c), u32(2 ** 31)])],
  ["an unknown cookie", (c) => chunk(c + 1n, 1, 0, new Uint8Array())],
  ["a cookie with other high bits", (c) => chunk(c + 2n ** 32n, 1, 0, new Uint8Array())],
  ["no magic number", () => new Uint8Array(20)],
  ["an extended reply", (c) => concat([hex("6e8a278c 0001 0000"), u64(c), u64(0), u64(0)])],
];

for (const [what, answer] of BROKEN_READS) {
  Deno.test(`a server that answers a read with ${what} loses the connection`, async () => {
    const server = new FakeServer();
    const client = await server.opened();
    const failing = assertRejects(() => client.read(512, new Uint8Array(8)), NbdError);
    await server.say(answer((await server.request()).cookie));
    assertEquals((await failing).code, "protocol-error");
    const later = await assertRejects(() => client.flush(), NbdError);
    assertEquals(later.code, "protocol-error");
    assertEquals(await server.pipe.read(new Uint8Array(1)), null);
  });
}

const STATUS = (...numbers: number[]) => concat(numbers.map(u32));

/** The same for a block status of 1024 bytes. */
const BROKEN_STATUS: readonly [string, (cookie: bigint) => Uint8Array][] = [
  ["a simple reply", (c) => simple(c, 0)],
  ["no extent", (c) => chunk(c, 1, 5, STATUS(9))],
  ["half an extent", (c) => chunk(c, 1, 5, STATUS(9, 1024))],
  ["an empty extent", (c) => chunk(c, 1, 5, STATUS(9, 0, 0))],
  ["an extent after the range", (c) => chunk(c, 1, 5, STATUS(9, 1024, 0, 512, 3))],
  ["another context", (c) => chunk(c, 1, 5, STATUS(8, 1024, 0))],
  ["two chunks of a context", (c) =>
    concat([
      chunk(c, 0, 5, STATUS(9, 512, 0)),
      chunk(c, 1, 5, STATUS(9, 512, 0)),
    ])],
  ["success without a status", (c) => chunk(c, 1, 0, new Uint8Array())],
  ["data", (c) => chunk(c, 1, 1, DATA(0, "1"))],
];

for (const [what, answer] of BROKEN_STATUS) {
  Deno.test(`a server that answers a block status with ${what} loses the connection`, async () => {
    const server = new FakeServer();
    const client = await server.opened();
    const failing = assertRejects(() => client.blockStatus(0, 1024), NbdError);
    await server.say(answer((await server.request()).cookie));
    assertEquals((await failing).code, "protocol-error");
  });
}

Deno.test("more than one extent is too many for a request of one", async () => {
  const server = new FakeServer();
  const client = await server.opened();
  const failing = assertRejects(() => client.blockStatus(0, 1024, { one: true }), NbdError);
  const { cookie, flags } = await server.request();
  assertEquals(flags, 8);
  await server.say(chunk(cookie, 1, 5, STATUS(9, 512, 0, 512, 3)));
  assertEquals((await failing).code, "protocol-error");
});

Deno.test("a structured reply that was not negotiated loses the connection", async () => {
  const server = new FakeServer(SIMPLE);
  const client = await server.opened();
  const failing = assertRejects(() => client.read(0, new Uint8Array(8)), NbdError);
  await server.say(chunk((await server.request()).cookie, 1, 1, DATA(0, "12345678")));
  assertEquals((await failing).code, "protocol-error");
});

Deno.test("an error chunk of an unknown type fails its request alone", async () => {
  const server = new FakeServer();
  const client = await server.opened();
  const failing = assertRejects(() => client.read(512, new Uint8Array(8)), NbdDeviceError);
  const { cookie } = await server.request();
  // The rest of the reply still comes, and unknown flags mean nothing.
  await server.say(
    chunk(cookie, 2, 0xc0de, concat([ERROR(75, "too much"), u64(1)])),
    chunk(cookie, 3, 0, new Uint8Array()),
  );
  const { errno, message } = await failing;
  assertEquals(errno, "EOVERFLOW");
  assert(message.includes("too much"));
  const flushing = client.flush();
  await server.say(simple((await server.request()).cookie, 0));
  await flushing;
});

Deno.test("an error number that NBD does not know counts as EINVAL", async () => {
  const server = new FakeServer();
  const client = await server.opened();
  const failing = assertRejects(() => client.flush(), NbdDeviceError);
  await server.say(simple((await server.request()).cookie, 4711));
  assertEquals((await failing).errno, "EINVAL");
});

Deno.test("data in many pieces, in any order, makes a whole", async () => {
  const server = new FakeServer();
  const client = await server.opened();
  const into = new Uint8Array(8);
  const reading = client.read(512, into);
  const { cookie } = await server.request();
  await server.say(
    chunk(cookie, 0, 2, HOLE(518, 1)),
    chunk(cookie, 0, 2, HOLE(519, 1)),
    chunk(cookie, 0, 2, HOLE(513, 2)),
    chunk(cookie, 0, 1, DATA(512, "a")),
    chunk(cookie, 1, 1, DATA(515, "def")),
  );
  // Sorted, and what is adjacent joined.
  assertEquals(await reading, [{ offset: 513, length: 2 }, { offset: 518, length: 2 }]);
  assertEquals(into, text("a\0\0def\0\0"));
});

Deno.test("a write is done when it is answered and its bytes are sent", async () => {
  const server = new FakeServer();
  const client = await server.opened();
  let isDone = false;
  const writing = client.write(0, new Uint8Array(SIZE)).then(() => isDone = true);
  await server.say(simple((await server.request()).cookie, 0));
  for (let turn = 0; turn < 200; turn++) await Promise.resolve();
  assertEquals(isDone, false);
  await server.take(SIZE);
  await writing;
});

Deno.test("ESHUTDOWN makes the client say goodbye once its requests are answered", async () => {
  const server = new FakeServer();
  const client = await server.opened();
  const failing = assertRejects(() => client.flush(), NbdDeviceError);
  const reading = client.read(0, new Uint8Array(4));
  const [flush, read] = [await server.request(), await server.request()];
  await server.say(chunk(flush.cookie, 1, 0x8001, ERROR(108, "")));
  assertEquals((await failing).errno, "ESHUTDOWN");
  assertEquals((await assertRejects(() => client.flush(), NbdError)).code, "closed");
  await server.say(chunk(read.cookie, 1, 1, DATA(0, "1234")));
  await reading;
  assertEquals((await server.request()).type, 2);
});

Deno.test("a server that hangs up in the middle of anything fails every request", async () => {
  const answer = (cookie: bigint) => chunk(cookie, 1, 1, DATA(512, "12345678"));
  const { length } = answer(1n);
  for (let bytes = 0; bytes < length; bytes++) {
    const server = new FakeServer();
    const client = await server.opened();
    const failing = assertRejects(() => client.read(512, new Uint8Array(8)), NbdError);
    await server.say(answer((await server.request()).cookie).subarray(0, bytes));
    server.pipe.close();
    assertEquals((await failing).code, "closed", `after ${bytes} bytes`);
  }
});

Deno.test("a read fails only when its buffer is not written to any more", async () => {
  const reading = Promise.withResolvers<number | null>();
  const server = new FakeServer(NEGOTIATED);
  const client = await server.opened();
  const ours = server.clientPipe;
  const into = new Uint8Array(200_000);
  const failing = assertRejects(() => client.read(0, into), NbdError);
  const { cookie } = await server.request();
  // The rest of the data goes straight to the buffer, by a read that ends late.
  ours.read = (buffer) => buffer.buffer === into.buffer ? reading.promise : ours.readNow(buffer);
  await server.say(chunk(cookie, 1, 1, concat([u64(0), into])).subarray(0, 1000));
  let failed = false;
  failing.then(() => failed = true);
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
  client[Symbol.dispose]();
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
  assertEquals(failed, false);
  reading.reject(new Error("closed"));
  assertEquals((await failing).code, "closed");
});

Deno.test("at most as many requests as allowed are under way", async () => {
  const server = new FakeServer(NEGOTIATED, { maxRequests: 3 });
  const client = await server.opened();
  const reads = Array.from({ length: 5 }, () => client.read(0, new Uint8Array(1)));
  const first = [await server.request(), await server.request(), await server.request()];
  let more = false;
  const fourth = server.request().then((request) => (more = true, request));
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  assertEquals(more, false);
  await server.say(...first.map(({ cookie }) => chunk(cookie, 1, 1, DATA(0, "x"))));
  const rest = [await fourth, await server.request()];
  await server.say(...rest.map(({ cookie }) => chunk(cookie, 1, 1, DATA(0, "x"))));
  await Promise.all(reads);
});

Deno.test("close hangs up at its deadline when the server does not answer", async () => {
  const clock = new ManualClock();
  const server = new FakeServer(NEGOTIATED, { clock, timeoutMs: 3000 });
  const client = await server.opened();
  const failing = assertRejects(() => client.flush(), NbdError);
  const closing = client.close();
  await clock.advance(3000);
  await closing;
  assertEquals((await failing).code, "closed");
});

const GO = 7;
const goInfo = (type: number, data: Uint8Array) => reply(GO, INFO, concat([u16(type), data]));
const BEFORE_GO = concat([GREETING, reply(8, 0x80000001)]);
const EXPORT = reply(GO, INFO, exportInfo(SIZE).subarray(20));
const BLOCKS = (...sizes: number[]) => goInfo(3, concat(sizes.map(u32)));

/** Negotiations that fail. */
const BROKEN_NEGOTIATIONS: readonly [string, Uint8Array[], string][] = [
  ["a minimum block that is no power of 2", [EXPORT, BLOCKS(3, 4096, 65536)], "protocol-error"],
  ["a minimum block over 64 KiB", [EXPORT, BLOCKS(131072, 131072, 1 << 25)], "protocol-error"],
  ["a minimum block of 0", [EXPORT, BLOCKS(0, 4096, 1 << 25)], "protocol-error"],
  ["a preferred block below the minimum", [EXPORT, BLOCKS(4096, 512, 1 << 25)], "protocol-error"],
  ["a maximum below the minimum", [EXPORT, BLOCKS(4096, 4096, 512)], "protocol-error"],
  ["block sizes that are cut", [EXPORT, goInfo(3, u32(1))], "protocol-error"],
  ["a refusal by policy", [reply(GO, 0x80000002)], "refused"],
  ["a shutdown", [EXPORT, reply(GO, 0x80000007)], "refused"],
  ["an unknown reply", [reply(GO, 77)], "protocol-error"],
];

for (const [what, says, code] of BROKEN_NEGOTIATIONS) {
  Deno.test(`a negotiation with ${what} fails and closes the pipe`, async () => {
    const server = new FakeServer(concat([BEFORE_GO, ...says, reply(GO, ACK)]));
    assertEquals((await assertRejects(() => server.client, NbdError)).code, code);
  });
}

Deno.test("contexts of a selection that fails in the end count for nothing", async () => {
  const server = new FakeServer(concat([
    GREETING,
    reply(8, ACK),
    reply(10, 4, concat([u32(9), text("base:allocation")])),
    reply(10, 0x80000003),
    EXPORT,
    reply(GO, ACK),
  ]));
  assertEquals((await server.client).can.blockStatus, false);
});

Deno.test("a client that is refused leaves with NBD_OPT_ABORT", async () => {
  const server = new FakeServer(concat([BEFORE_GO, reply(GO, 0x80000002)]));
  await assertRejects(() => server.client, NbdError);
  const buffer = new Uint8Array(4096);
  const sent = buffer.subarray(0, (await server.pipe.read(buffer))!);
  assertEquals(sent.subarray(-16), concat([text("IHAVEOPT"), u32(2), u32(0)]));
});

Deno.test("a silent server fails at the deadline", async () => {
  const clock = new ManualClock();
  const [ours] = memoryPipe();
  const opening = assertRejects(
    () => NbdClient.open(ours, "x", { clock, timeoutMs: 2000 }),
    NbdError,
    'Waited 2.0 s for NBD export "x"',
  );
  await clock.advance(2000);
  assertEquals((await opening).code, "timeout");
  assertEquals(ours.closed, true);
});
