import { assert, assertEquals, assertRejects } from "@std/assert";
import { writeAll } from "../../../src/io/mod.ts";
import { NbdDeviceError, NbdError, NbdServer } from "../../../src/nbd/mod.ts";
import { concat, randomOf } from "../../support/bytes.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { text, u16, u32, u64 } from "../dialogue.ts";
import { MemoryDevice, type MemoryDeviceOptions } from "../memory_device.ts";
import * as t from "./talking.ts";

const MiB = 1 << 20;
const [READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const [FUA, NO_HOLE, DF, ONE, FAST] = [1, 2, 4, 8, 16] as const;
const [EPERM, EIO, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP] = [1, 5, 22, 28, 75, 95] as const;

/** Bytes before the first reply. */
const ENTRY_BYTES = 18 + 32 + 20;
/** NBD_INFO_BLOCK_SIZE, which a client that may need it gets unasked. */
const BLOCK_SIZE_BYTES = 20 + 14;
const STRUCTURED_ENTRY_BYTES = ENTRY_BYTES + 20 + 39 + 20;

/** What a server with this device answers to requests. */
async function replies(
  device: MemoryDevice,
  requests: readonly Uint8Array[],
  { structured = false, chunk = () => Infinity } = {},
): Promise<Uint8Array> {
  const talk = new t.Talk(device, { chunk });
  const heard = await talk.all(structured ? t.STRUCTURED_ENTRY : t.ENTRY, ...requests);
  await talk.serving.catch(() => {});
  const entry = structured ? STRUCTURED_ENTRY_BYTES : ENTRY_BYTES;
  return heard.subarray(entry + (device.blockSize.minimum > 1 ? BLOCK_SIZE_BYTES : 0));
}

/** A device whose bytes from 4096 to 8192 are data. */
async function withData(options: MemoryDeviceOptions = {}): Promise<MemoryDevice> {
  const device = new MemoryDevice(options);
  await device.write(4096, new Uint8Array(4096).fill(7));
  device.calls.length = 0;
  return device;
}

Deno.test("a simple reply to a read has the data after it", async () => {
  const heard = await replies(await withData(), [t.request(READ, 4094, 4)]);
  assertEquals(heard, t.simple(0, new Uint8Array([0, 0, 7, 7])));
});

Deno.test("a structured reply to a read has holes without their zeroes", async () => {
  const heard = await replies(await withData(), [t.request(READ, 0, 12288)], { structured: true });
  const expected = [
    t.chunk(0, 2, concat([u64(0), u32(4096)])),
    t.chunk(0, 1, concat([u64(4096), new Uint8Array(4096).fill(7)])),
    t.chunk(1, 2, concat([u64(8192), u32(4096)])),
  ];
  assertEquals(heard, concat(expected));
});

Deno.test("a read with DF is answered in one chunk of data", async () => {
  const requests = [t.request(READ, 4094, 4, { flags: DF })];
  const heard = await replies(await withData(), requests, { structured: true });
  assertEquals(heard, t.chunk(1, 1, concat([u64(4094), new Uint8Array([0, 0, 7, 7])])));
});

Deno.test("a structured read of nothing is answered without content", async () => {
  const heard = await replies(new MemoryDevice(), [t.request(READ, 5, 0)], { structured: true });
  assertEquals(heard, t.chunk(1, 0, new Uint8Array()));
});

Deno.test("every other request is answered by a simple reply, in both modes", async () => {
  for (const structured of [false, true]) {
    const requests = [
      t.request(WRITE, 1, 3, { flags: FUA, data: text("abc") }),
      t.request(WRITE, 9, 0),
      t.request(FLUSH, 0, 0, { flags: FUA }),
      t.request(TRIM, 0, 4096),
      t.request(CACHE, 0, 4096),
      t.request(ZEROES, 0, 4096, { flags: NO_HOLE | FAST | FUA }),
    ];
    const device = new MemoryDevice();
    const heard = await replies(device, requests, { structured });
    assertEquals(heard, concat(requests.map(() => t.simple(0))));
    const names = ["write", "write", "flush", "trim", "cache", "writeZeroes"];
    assertEquals(device.calls.map(({ name }) => name), names);
  }
});

Deno.test("a block status joins what is alike and ends with the request", async () => {
  const requests = [t.request(STATUS, 0, 20000), t.request(STATUS, 100, 8000, { flags: ONE })];
  const heard = await replies(await withData(), requests, { structured: true });
  const extents = (...numbers: number[]) => t.chunk(1, 5, concat([u32(1), ...numbers.map(u32)]));
  assertEquals(heard, concat([extents(4096, 3, 4096, 0, 11808, 3), extents(3996, 3)]));
});

Deno.test("a block status ends with the request though the device knows more", async () => {
  const device = new MemoryDevice();
  device.blockStatus = () => Promise.resolve([{ length: MiB, hole: true, zero: true }]);
  const heard = await replies(device, [t.request(STATUS, 0, 512)], { structured: true });
  assertEquals(heard, t.chunk(1, 5, concat([1, 512, 3].map(u32))));
});

Deno.test("a context that was selected before, or of another export, is none", async () => {
  const select = (name: string, query: string) => t.option(t.SET_META, t.metaData(name, query));
  const selections = [
    [select("disk", "base:allocation"), select("disk", "allocation")],
    [select("disk", "base:allocation"), select("disk", "base:other")],
    [select("spare", "base:allocation")],
  ];
  for (const options of selections) {
    const [device, spare] = [new MemoryDevice(), new MemoryDevice()];
    const server = new NbdServer([{ name: "disk", device }, { name: "spare", device: spare }]);
    const [pipe, theirs] = memoryPipe();
    const serving = server.serve(theirs);
    const go = t.option(t.GO, t.infoData("disk"));
    await writeAll(pipe, concat([u32(3), t.option(t.STRUCTURED), ...options, go]));
    await writeAll(pipe, concat([t.request(STATUS, 0, 512), t.request(DISC, 0, 0)]));
    await serving;
    assertEquals([device.calls, spare.calls], [[], []]);
    pipe.close();
  }
});

const refusal = (errno: number) => [t.simple(errno)];

/** Requests, a device's options, the error of a simple reply. */
const REFUSED: readonly [string, Uint8Array, MemoryDeviceOptions, number][] = [
  ["an unknown command", t.request(9, 0, 0), {}, EINVAL],
  ["a read beyond the end", t.request(READ, MiB - 1, 2), {}, EINVAL],
  ["a read at an offset over 2^53", t.request(READ, 2n ** 64n - 1n, 1), {}, EINVAL],
  ["a read over 32 MiB", t.request(READ, 0, 2 ** 25 + 1), { sizeBytes: 2 ** 26 }, EINVAL],
  ["a write beyond the end", t.request(WRITE, MiB, 1, { data: text("x") }), {}, ENOSPC],
  [
    "a write to a read-only export",
    t.request(WRITE, 0, 1, { data: text("x") }),
    { readOnly: true },
    EPERM,
  ],
  ["a trim of a read-only export", t.request(TRIM, 0, 1), { readOnly: true }, EPERM],
  ["zeroes on a read-only export", t.request(ZEROES, 0, 1), { readOnly: true }, EPERM],
  ["zeroes beyond the end", t.request(ZEROES, 1, MiB), {}, ENOSPC],
  ["a trim beyond the end", t.request(TRIM, 1, MiB), {}, EINVAL],
  ["a cache beyond the end", t.request(CACHE, 1, MiB), {}, EINVAL],
  ["a flush with a length", t.request(FLUSH, 0, 1), {}, EINVAL],
  ["a flush of an export without", t.request(FLUSH, 0, 0), { can: { flush: false } }, EINVAL],
  ["a trim of an export without", t.request(TRIM, 0, 1), { can: { trim: false } }, EINVAL],
  ["zeroes of an export without", t.request(ZEROES, 0, 1), { can: { writeZeroes: false } }, EINVAL],
  ["a cache of an export without", t.request(CACHE, 0, 1), { can: { cache: false } }, EINVAL],
  ["a block status without a context", t.request(STATUS, 0, 512), {}, EINVAL],
  ["an unaligned offset", t.request(READ, 1, 512), { blockSize: { minimum: 512 } }, EINVAL],
  [
    "an unaligned length",
    t.request(WRITE, 0, 3, { data: text("abc") }),
    { blockSize: { minimum: 512 } },
    EINVAL,
  ],
  ["an unknown flag", t.request(READ, 0, 1, { flags: 1 << 7 }), {}, EINVAL],
  ["DF without structured replies", t.request(READ, 0, 1, { flags: DF }), {}, EINVAL],
  ["NO_HOLE of a trim", t.request(TRIM, 0, 1, { flags: NO_HOLE }), {}, EINVAL],
  [
    "FUA of an export without",
    t.request(WRITE, 0, 1, { flags: FUA, data: text("x") }),
    { can: { fua: false } },
    EINVAL,
  ],
  [
    "FAST_ZERO of an export without",
    t.request(ZEROES, 0, 1, { flags: FAST }),
    { can: { fastZero: false } },
    EINVAL,
  ],
];

for (const [what, bytes, options, errno] of REFUSED) {
  Deno.test(`${what} is refused, and the next request is served`, async () => {
    const device = new MemoryDevice(options);
    const heard = await replies(device, [bytes, t.request(READ, 0, 0)]);
    assertEquals(heard, concat([...refusal(errno), t.simple(0)]));
    assertEquals(device.calls, []);
  });
}

Deno.test("an error of a structured reply has a message", async () => {
  const device = new MemoryDevice({ sizeBytes: 2 ** 26 });
  const requests = [t.request(READ, 0, 2 ** 25 + 1)];
  const heard = await replies(device, requests, { structured: true });
  const message = heard.subarray(26);
  assertEquals(heard, t.chunk(1, 0x8001, concat([u32(EOVERFLOW), u16(message.length), message])));
  assert(new TextDecoder().decode(message).includes("expected 32 MiB at most"));
});

Deno.test("the device's errors keep their number, others become EIO", async () => {
  let error: Error = new NbdDeviceError("ENOTSUP", "not fast");
  const device = new MemoryDevice({
    before: () => {
      throw error;
    },
  });
  const zeroes = t.request(ZEROES, 0, 512, { flags: FAST });
  assertEquals(await replies(device, [zeroes]), t.simple(ENOTSUP));
  error = new Error("broken");
  assertEquals(await replies(device, [zeroes]), t.simple(EIO));
});

Deno.test("a device that is lost makes the server hang up without an answer", async () => {
  const device = new MemoryDevice({
    before: ({ name }) => {
      if (name === "write") throw new NbdError("closed", "The NBD server hung up");
    },
  });
  const talk = new t.Talk(device);
  await talk.say(t.ENTRY, t.request(READ, 0, 1), t.request(WRITE, 0, 1, { data: text("x") }));
  assertEquals((await assertRejects(() => talk.serving, NbdError)).code, "closed");
  const rest = await talk.rest().catch(() => new Uint8Array());
  assert(rest.length <= ENTRY_BYTES + 17, `${rest.length} bytes were heard`);
});

Deno.test("requests are answered as they are done, whatever their order", async () => {
  const first = Promise.withResolvers<void>();
  const device = new MemoryDevice({
    before: ({ offset }) => offset === 0 ? first.promise : undefined,
  });
  const talk = new t.Talk(device);
  await talk.say(t.ENTRY, t.request(TRIM, 0, 1, { cookie: 1n }));
  await talk.hear(ENTRY_BYTES);
  await talk.say(t.request(TRIM, 512, 1));
  assertEquals(await talk.hear(16), t.simple(0));
  await talk.say(t.request(DISC, 0, 0));
  first.resolve();
  const heard = await talk.rest();
  assertEquals(heard.subarray(8), u64(1));
  await talk.serving;
});

Deno.test("overlapping writes are both done and answered", async () => {
  const device = new MemoryDevice();
  const write = (offset: number, fill: number) =>
    t.request(WRITE, offset, 100, { data: new Uint8Array(100).fill(fill) });
  assertEquals((await replies(device, [write(0, 1), write(50, 2)])).length, 32);
  assertEquals([device.bytes[49], device.bytes[149]], [1, 2]);
  assert([1, 2].includes(device.bytes[75]!));
});

Deno.test("a write that is refused is skipped up to 32 MiB, a longer one ends the connection", async () => {
  const device = new MemoryDevice();
  const long = t.request(WRITE, 0, 2 ** 25, { data: new Uint8Array(2 ** 25) });
  assertEquals(await replies(device, [long]), t.simple(ENOSPC));
  const talk = new t.Talk(device);
  await talk.say(t.ENTRY, t.request(WRITE, 0, 2 ** 25 + 1));
  assertEquals((await assertRejects(() => talk.serving, NbdError)).code, "protocol-error");
});

Deno.test("a request without its magic number ends the connection", async () => {
  const talk = new t.Talk(new MemoryDevice());
  await talk.say(t.ENTRY, new Uint8Array(28));
  assertEquals((await assertRejects(() => talk.serving, NbdError)).code, "protocol-error");
  assertEquals((await talk.rest()).length, ENTRY_BYTES);
});

Deno.test("a transmission is the same wherever its bytes are split", async () => {
  const requests = [
    t.request(WRITE, 100, 300, { data: new Uint8Array(300).fill(5) }),
    t.request(READ, 4096, 2000),
    t.request(STATUS, 0, 9000),
    t.request(9, 0, 0),
    t.request(WRITE, MiB, 40, { data: new Uint8Array(40) }),
    t.request(DISC, 0, 0),
  ];
  const whole = await replies(await withData(), requests, { structured: true });
  const random = randomOf(5);
  for (const chunk of [() => 1, () => 2, () => 29, () => 1 + Math.floor(random() * 60)]) {
    assertEquals(await replies(await withData(), requests, { structured: true, chunk }), whole);
  }
});

Deno.test("a client that hangs up after any byte ends the connection", async () => {
  const all = concat([
    t.STRUCTURED_ENTRY,
    t.request(WRITE, 0, 20, { data: new Uint8Array(20) }),
    t.request(READ, 0, 20),
  ]);
  for (let length = 0; length < all.length; length++) {
    const talk = new t.Talk(new MemoryDevice());
    await talk.say(all.subarray(0, length));
    talk.pipe.close();
    await talk.serving.catch(() => {});
  }
});
