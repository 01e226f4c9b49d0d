import { assertEquals, assertRejects } from "@std/assert";
import { NbdProbeError, probeExport } from "../../src/nbd/mod.ts";
import { concat, randomOf, readAll } from "../support/bytes.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { memoryPipe } from "../support/memory_pipe.ts";
import { writeAll } from "../../src/io/mod.ts";
import {
  ACK,
  chunk,
  exportInfo,
  GO,
  GREETING,
  hex,
  INFO,
  reply,
  serverSaying,
  STRUCTURED,
  text,
  u16,
  u32,
  u64,
  WHOLE,
} from "./dialogue.ts";

const MIB = 1024 * 1024;

Deno.test("what the client says is what proto.md lays down", async () => {
  const [ours, theirs] = memoryPipe();
  const said = readAll(theirs);
  await writeAll(theirs, concat(WHOLE));
  const probe = probeExport(ours, "disk", { expectedSizeBytes: MIB, writable: true });
  const bytes = await said;
  theirs.close();
  await probe;
  const expected = concat([
    u32(3),
    concat([text("IHAVEOPT"), u32(STRUCTURED), u32(0)]),
    concat([text("IHAVEOPT"), u32(GO), u32(12), u32(4), text("disk"), u16(1), u16(3)]),
    concat([hex("25609513 0000 0000"), text("vmferry\n"), u64(0), u32(512)]),
    concat([hex("25609513 0000 0002"), text("vmferry\n"), u64(0), u32(0)]),
  ]);
  assertEquals(bytes, expected);
});

Deno.test("an export is understood wherever the server's bytes are split", async () => {
  const random = randomOf(7);
  for (const size of [() => 1, () => 2, () => 7, () => 1 + Math.floor(random() * 40)]) {
    const info = await probeExport(serverSaying(WHOLE, { chunk: size }), "disk");
    assertEquals(
      [info.sizeBytes, info.readOnly, info.canTrim, info.structuredReplies, info.blockSizes],
      [MIB, false, true, true, { minimum: 1, preferred: 4096, maximum: 33554432 }],
    );
  }
});

Deno.test("a server that hangs up after any byte is an error, never a success", async () => {
  const all = concat(WHOLE);
  for (let length = 0; length < all.length; length++) {
    await assertRejects(
      () => probeExport(serverSaying([all.subarray(0, length)], { hangUp: true }), "disk"),
      NbdProbeError,
      undefined,
      `after ${length} bytes`,
    );
  }
});

const AGREED = WHOLE.slice(0, 5);
const refused = (type: number, data = new Uint8Array()) => [
  GREETING,
  reply(STRUCTURED, ACK),
  reply(GO, type, data),
];

/** Misbehaviour, what the server says, and what the user is told. */
const FAULTS: readonly [string, readonly Uint8Array[], string][] = [
  ["no NBD at all", [text("HTTP/1.1 400 Bad Request\r\n")], "no NBD server"],
  ["oldstyle", [text("NBDMAGIC"), hex("0000420281861253"), u16(0)], "old negotiation"],
  ["no fixed newstyle", [text("NBDMAGIC"), text("IHAVEOPT"), u16(0)], "fixed newstyle"],
  ["unknown export", refused(0x80000006, text("no disk")), 'knows no export "disk": no disk'],
  ["TLS required", refused(0x80000005), "wants TLS"],
  ["policy", refused(0x80000002), "refused export"],
  ["a reply to another option", [GREETING, reply(STRUCTURED, ACK), reply(6, ACK)], "asked 7"],
  ["a reply without its magic", [GREETING, new Uint8Array(20)], "without its magic"],
  [
    "a reply of four gigabytes",
    [GREETING, concat([reply(STRUCTURED, ACK).subarray(0, 16), u32(0xffffffff)])],
    "4294967295 bytes",
  ],
  ["an agreement without a size", refused(ACK), "without telling the size"],
  ["a size over 2^53", [...WHOLE.slice(0, 2), exportInfo(2n ** 60n), reply(GO, ACK)], "over 2^53"],
  [
    "endless informations",
    [...WHOLE.slice(0, 2), ...Array<Uint8Array>(65).fill(reply(GO, INFO, u16(9)))],
    "more than 64",
  ],
  ["a wrong cookie", [...AGREED, chunk(1, new Uint8Array(520), 1, 5n)], "never made"],
  ["a chunk outside", [...AGREED, chunk(1, concat([u64(1), new Uint8Array(512)]))], "outside"],
  ["too few bytes", [...AGREED, chunk(1, concat([u64(0), new Uint8Array(511)]))], "511 of 512"],
  ["a hole too large", [...AGREED, chunk(2, concat([u64(0), u32(513)]))], "outside"],
  ["an unknown chunk", [...AGREED, chunk(77, new Uint8Array(1))], "type 77"],
  ["a simple reply to a structured read", [...AGREED, hex("67446698"), new Uint8Array(528)], "0x"],
  [
    "a read error with its text",
    [...AGREED, chunk(0x8001, concat([u32(5), u16(3), text("bad")]))],
    "Input/output error (bad)",
  ],
];

for (const [name, says, message] of FAULTS) {
  Deno.test(`misbehaviour: ${name}`, async () => {
    await assertRejects(() => probeExport(serverSaying(says), "disk"), NbdProbeError, message);
  });
}

Deno.test("a hole and data in any order make up a read", async () => {
  const says = [
    ...AGREED,
    chunk(2, concat([u64(256), u32(256)]), 0),
    chunk(1, concat([u64(0), new Uint8Array(256)]), 0),
    chunk(0, new Uint8Array()),
  ];
  assertEquals((await probeExport(serverSaying(says), "disk")).sizeBytes, MIB);
});

Deno.test("an old server without options but the name is spoken to, with and without zeroes", async () => {
  const read = concat([hex("67446698"), u32(0), text("vmferry\n"), new Uint8Array(512)]);
  for (const [flags, zeroes] of [[3, 0], [1, 124]] as const) {
    const says = [
      concat([text("NBDMAGIC"), text("IHAVEOPT"), u16(flags)]),
      reply(STRUCTURED, 0x80000001),
      reply(GO, 0x80000001),
      concat([u64(MIB), u16(3), new Uint8Array(zeroes), read]),
    ];
    const info = await probeExport(serverSaying(says), "disk");
    assertEquals([info.sizeBytes, info.readOnly, info.structuredReplies], [MIB, true, false]);
  }
});

Deno.test("an export of another size, or one that can't be written to, is told as such", async () => {
  const other = () => probeExport(serverSaying(WHOLE), "disk", { expectedSizeBytes: MIB + 1 });
  await assertRejects(other, NbdProbeError, "has 1048576 bytes, expected 1048577");
  const says = WHOLE.with(2, exportInfo(MIB, 0b11));
  const readOnly = () => probeExport(serverSaying(says), "disk", { writable: true });
  await assertRejects(readOnly, NbdProbeError, "read-only");
});

Deno.test("a server that says nothing is given up, and its pipe is closed", async () => {
  const [ours] = memoryPipe();
  const clock = new ManualClock();
  const probe = assertRejects(
    () => probeExport(ours, "disk", { clock, timeoutMs: 3000 }),
    NbdProbeError,
    'Waited 3.0 s for NBD export "disk"',
  );
  await clock.advance(3000);
  await probe;
  assertEquals(ours.closed, true);
});
