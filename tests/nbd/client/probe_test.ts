import { assertEquals, assertRejects } from "@std/assert";
import { NbdProbeError, probeExport } from "../../../src/nbd/mod.ts";
import { concat, randomOf, readAll } from "../../support/bytes.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { writeAll } from "../../../src/io/mod.ts";
import {
  ACK,
  exportInfo,
  GREETING,
  hex,
  INFO,
  OPT_INFO,
  reply,
  serverSaying,
  text,
  u16,
  u32,
  WHOLE,
} from "../dialogue.ts";

const MIB = 1024 * 1024;

Deno.test("the client's bytes are those that proto.md specifies", async () => {
  const [ours, theirs] = memoryPipe();
  const sent = readAll(theirs);
  await writeAll(theirs, concat(WHOLE));
  const probe = probeExport(ours, "disk", { expectedSizeBytes: MIB, writable: true });
  const bytes = await sent;
  theirs.close();
  await probe;
  const expected = concat([
    u32(1),
    concat([text("IHAVEOPT"), u32(6), u32(12), u32(4), text("disk"), u16(1), u16(3)]),
    concat([text("IHAVEOPT"), u32(2), u32(0)]),
  ]);
  assertEquals(bytes, expected);
});

Deno.test("an export is read correctly wherever the server's bytes are split", async () => {
  const random = randomOf(7);
  for (const size of [() => 1, () => 2, () => 7, () => 1 + Math.floor(random() * 40)]) {
    const info = await probeExport(serverSaying(WHOLE, { chunk: size }), "disk");
    assertEquals(info, { sizeBytes: MIB, readOnly: false });
  }
});

Deno.test("a server that hangs up after any byte makes the probe fail", async () => {
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

const refused = (type: number, data = new Uint8Array()) => [GREETING, reply(OPT_INFO, type, data)];

/** A fault, the server's bytes, and a part of the error's message. */
const FAULTS: readonly [string, readonly Uint8Array[], string][] = [
  ["a peer that is no NBD server", [text("HTTP/1.1 400 Bad Request\r\n")], "not an NBD server"],
  [
    "an oldstyle server",
    [text("NBDMAGIC"), hex("0000420281861253"), u16(0)],
    "oldstyle negotiation",
  ],
  [
    "a server without the fixed newstyle",
    [text("NBDMAGIC"), text("IHAVEOPT"), u16(0)],
    "fixed newstyle",
  ],
  ["an unknown export", refused(0x80000006, text("no disk")), 'has no export "disk": no disk'],
  ["a server that requires TLS", refused(0x80000005), "wants TLS"],
  ["a refusal by policy", refused(0x80000002), "refused export"],
  ["a server that is too old", refused(0x80000001), "does not support NBD_OPT_INFO"],
  ["a reply to another option", [GREETING, reply(7, ACK)], "expected one to option 6"],
  ["a reply without its magic", [GREETING, new Uint8Array(20)], "without its magic"],
  [
    "a reply of four gigabytes",
    [GREETING, concat([reply(OPT_INFO, ACK).subarray(0, 16), u32(0xffffffff)])],
    "4294967295 bytes",
  ],
  ["an acknowledgement without a size", refused(ACK), "without its size"],
  ["a size over 2^53", [GREETING, exportInfo(2n ** 60n), reply(OPT_INFO, ACK)], "over 2^53"],
  [
    "an endless list of NBD_REP_INFO",
    [GREETING, ...Array<Uint8Array>(65).fill(reply(OPT_INFO, INFO, u16(9)))],
    "more than 64",
  ],
  ["an export's size in too few bytes", [GREETING, reply(OPT_INFO, INFO, u16(0))], "of 2 bytes"],
];

for (const [name, says, message] of FAULTS) {
  Deno.test(`a probe fails on ${name} and says so`, async () => {
    await assertRejects(() => probeExport(serverSaying(says), "disk"), NbdProbeError, message);
  });
}

Deno.test("an export of another size, or a read-only one, is refused with that reason", async () => {
  const other = () => probeExport(serverSaying(WHOLE), "disk", { expectedSizeBytes: MIB + 1 });
  await assertRejects(other, NbdProbeError, "has 1048576 bytes, expected 1048577");
  const says = WHOLE.with(1, exportInfo(MIB, 0b11));
  const readOnly = () => probeExport(serverSaying(says), "disk", { writable: true });
  await assertRejects(readOnly, NbdProbeError, "read-only");
});

Deno.test("a silent server makes the probe fail at its deadline and closes the pipe", async () => {
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
