import { assertEquals, assertRejects } from "@std/assert";
import { writeAll } from "../../../src/io/mod.ts";
import { type ExtentKind, NbdError, NbdReader } from "../../../src/nbd/mod.ts";
import { concat } from "../../support/bytes.ts";
import { memoryPipe, type MemoryPipeEnd } from "../../support/memory_pipe.ts";
import { ACK, exportInfo, GREETING, hex, INFO, reply, text, u16, u32, u64 } from "../dialogue.ts";

const [STRUCTURED, CONTEXT, GO] = [8, 10, 7];
const UNSUP = 0x80000001;
const SIZE = 1 << 20;

const info = () => reply(GO, INFO, exportInfo(SIZE).subarray(20));
const negotiated = (context: string) =>
  concat([
    GREETING,
    reply(STRUCTURED, ACK),
    reply(CONTEXT, 4, concat([u32(9), text(context)])),
    reply(CONTEXT, ACK),
    info(),
    reply(GO, ACK),
  ]);
const NEGOTIATED = negotiated("base:allocation");
const WITH_DEPTH = negotiated("qemu:allocation-depth");
const SIMPLE = concat([GREETING, reply(STRUCTURED, UNSUP), info(), reply(GO, ACK)]);

/** A server that sends `first`, then `answers` to `requests` requests. */
async function reading(
  first: Uint8Array,
  answers: (cookies: bigint[]) => Uint8Array[],
  requests = 1,
  kind: ExtentKind = "data",
): Promise<{ reader: NbdReader; theirs: MemoryPipeEnd }> {
  const [ours, theirs] = memoryPipe({ chunk: () => 7 });
  const serve = async () => {
    await writeAll(theirs, first);
    let seen: Uint8Array = new Uint8Array();
    const cookies: bigint[] = [];
    const buffer = new Uint8Array(4096);
    for (let n; cookies.length < requests && (n = await theirs.read(buffer)) !== null;) {
      seen = concat([seen, buffer.slice(0, n)]);
      cookies.length = 0;
      for (let at = 0; (at = find(seen, at)) >= 0; at += 28) {
        if (at + 28 > seen.length) break;
        cookies.push(new DataView(seen.buffer).getBigUint64(at + 8));
      }
    }
    await writeAll(theirs, concat(answers(cookies)));
  };
  serve().catch(() => {});
  return { reader: await NbdReader.open(ours, "x", kind), theirs };
}

/** Where the next request begins, from `at` on; -1 without one. */
function find(bytes: Uint8Array, at: number): number {
  const magic = hex("25609513");
  for (let i = at; i + 4 <= bytes.length; i++) {
    if (magic.every((byte, j) => bytes[i + j] === byte)) return i;
  }
  return -1;
}

const chunk = (cookie: bigint, flags: number, type: number, data: Uint8Array) =>
  concat([hex("668e33ef"), u16(flags), u16(type), u64(cookie), u32(data.length), data]);
const simple = (cookie: bigint, error: number, data = new Uint8Array()) =>
  concat([hex("67446698"), u32(error), u64(cookie), data]);

Deno.test("a read is assembled from chunks of data and holes, in any order", async () => {
  const { reader } = await reading(NEGOTIATED, ([cookie]) => [
    chunk(cookie!, 0, 2, concat([u64(4096 + 4), u32(4)])),
    chunk(cookie!, 0, 1, concat([u64(4096), text("data")])),
    chunk(cookie!, 1, 0, new Uint8Array()),
  ]);
  assertEquals(reader.sizeBytes, SIZE);
  assertEquals(await reader.read(4096, 8), concat([text("data"), new Uint8Array(4)]));
  reader[Symbol.dispose]();
});

Deno.test("replies to two requests may come in reverse order", async () => {
  const { reader } = await reading(
    SIMPLE,
    ([a, b]) => [simple(b!, 0, text("bb")), simple(a!, 0, text("aa"))],
    2,
  );
  const read = await Promise.all([reader.read(0, 2), reader.read(2, 2)]);
  assertEquals(read, [text("aa"), text("bb")]);
  reader[Symbol.dispose]();
});

Deno.test("extents locate the data and end where the request ends", async () => {
  const { reader } = await reading(NEGOTIATED, ([cookie]) => [
    chunk(cookie!, 1, 5, concat([u32(9), u32(4096), u32(0), u32(1 << 30), u32(3)])),
  ]);
  assertEquals(await reader.extents(8192, 16384), [
    { offset: 8192, length: 4096, isData: true },
    { offset: 12288, length: 12288, isData: false },
  ]);
  reader[Symbol.dispose]();
});

Deno.test("with the allocation depth, extents locate what an image has itself, zeroes too", async () => {
  const depths = concat([u32(9), ...[4096, 0, 4096, 1].map(u32)]);
  const status = (cookie: bigint) => chunk(cookie, 1, 5, depths);
  const { reader } = await reading(WITH_DEPTH, ([cookie]) => [status(cookie!)], 1, "allocated");
  assertEquals((await reader.extents(0, 8192)).map(({ isData }) => isData), [false, true]);
});

Deno.test("without structured replies all of an export counts as data", async () => {
  const { reader } = await reading(SIMPLE, () => []);
  assertEquals(await reader.extents(0, 512), [{ offset: 0, length: 512, isData: true }]);
  reader[Symbol.dispose]();
});

Deno.test("an error reply fails its request alone", async () => {
  const { reader } = await reading(NEGOTIATED, ([a, b]) => [
    chunk(a!, 1, 0x8001, concat([u32(5), u16(0)])),
    chunk(b!, 1, 1, concat([u64(0), text("bb")])),
  ], 2);
  const [failed, read] = await Promise.allSettled([reader.read(0, 2), reader.read(0, 2)]);
  assertEquals([failed.status, read.status], ["rejected", "fulfilled"]);
  reader[Symbol.dispose]();
});

Deno.test("a server that hangs up fails every request, waiting and later", async () => {
  const { reader, theirs } = await reading(SIMPLE, () => []);
  const waiting = assertRejects(() => reader.read(0, 2), NbdError, "The NBD server");
  theirs.close();
  const { code } = await waiting;
  assertEquals(code, "closed");
  assertEquals((await assertRejects(() => reader.read(0, 2), NbdError)).code, "closed");
});

for (
  const [what, answer] of [
    ["data from outside the range", (c: bigint) => chunk(c, 1, 1, concat([u64(9999), text("x")]))],
    ["more data than the range has", (c: bigint) => chunk(c, 1, 1, concat([u64(0), text("long")]))],
    ["a reply to no request", (c: bigint) => simple(c + 1n, 0)],
    ["bytes that are no reply", (_: bigint) => hex("00000000 00000000 00000000 00000000")],
    ["a chunk without end", (c: bigint) => concat([hex("668e33ef00010005"), u64(c), u32(2 ** 31)])],
  ] as const
) {
  Deno.test(`a server that sends ${what} fails every request`, async () => {
    const { reader } = await reading(NEGOTIATED, ([cookie]) => [answer(cookie!)]);
    await assertRejects(() => reader.read(0, 2), NbdError);
    await assertRejects(() => reader.read(0, 2), NbdError);
    reader[Symbol.dispose]();
  });
}

Deno.test("the error for a missing export names it", async () => {
  const none = concat([GREETING, reply(STRUCTURED, UNSUP), reply(GO, 0x80000006, text("gone"))]);
  await assertRejects(() => reading(none, () => []), NbdError, 'no export "x"');
});
