import { assertEquals, assertRejects } from "@std/assert";
import { NbdError } from "../../../src/nbd/mod.ts";
import { concat, randomOf } from "../../support/bytes.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { GREETING, hex, reply, text, u16, u32, u64 } from "../dialogue.ts";
import { MemoryDevice } from "../memory_device.ts";
import * as t from "./talking.ts";

const SIZE = 1 << 20;
/** has flags, flush, FUA, trim, zeroes, multi-conn, cache, fast zero. */
const FLAGS = 0b1101_0110_1101;
const DF = 0b1000_0000;

/** Replies without the text of errors, which is for people. */
function withoutTexts(bytes: Uint8Array): Uint8Array {
  const kept = [bytes.slice(0, GREETING.length)];
  const numbers = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = GREETING.length; at < bytes.length;) {
    const length = numbers.getUint32(at + 16);
    const isError = numbers.getUint32(at + 12) >= 0x80000000;
    const part = bytes.slice(at, at + 20 + (isError ? 0 : length));
    if (isError) part.fill(0, 16, 20);
    kept.push(part);
    at += 20 + length;
  }
  return concat(kept);
}

/** What a server answers to a fixed newstyle client. */
async function answers(...options: Uint8Array[]): Promise<Uint8Array> {
  const talk = new t.Talk(new MemoryDevice(), { description: "a disk" });
  return withoutTexts(await talk.all(u32(3), ...options));
}

const DIALOGUES: readonly [string, Uint8Array[], Uint8Array[]][] = [
  [
    "a list names each export with its description",
    [t.option(t.LIST)],
    [
      reply(t.LIST, t.REP_SERVER, concat([u32(4), text("disk"), text("a disk")])),
      reply(t.LIST, t.ACK),
    ],
  ],
  [
    "a list with data is invalid",
    [t.option(t.LIST, u32(0))],
    [reply(t.LIST, t.INVALID)],
  ],
  [
    "INFO answers with what was asked, and the negotiation goes on",
    [t.option(t.INFO, t.infoData("disk", 1, 2, 3, 77)), t.option(t.INFO, t.infoData("disk"))],
    [
      t.exportOf(t.INFO, SIZE, FLAGS),
      reply(t.INFO, t.REP_INFO, concat([u16(1), text("disk")])),
      reply(t.INFO, t.REP_INFO, concat([u16(2), text("a disk")])),
      reply(t.INFO, t.REP_INFO, concat([u16(3), u32(1), u32(4096), u32(1 << 25)])),
      reply(t.INFO, t.ACK),
      t.exportOf(t.INFO, SIZE, FLAGS),
      reply(t.INFO, t.ACK),
    ],
  ],
  [
    "an unknown export is refused, and the negotiation goes on",
    [t.option(t.GO, t.infoData("other")), t.option(t.ABORT)],
    [reply(t.GO, t.UNKNOWN), reply(t.ABORT, t.ACK)],
  ],
  [
    "structured replies expose the DF flag",
    [t.option(t.STRUCTURED), t.option(t.GO, t.infoData("disk"))],
    [reply(t.STRUCTURED, t.ACK), t.exportOf(t.GO, SIZE, FLAGS | DF), reply(t.GO, t.ACK)],
  ],
  [
    "contexts are invalid without structured replies",
    [t.option(t.SET_META, t.metaData("disk", "base:allocation"))],
    [reply(t.SET_META, t.INVALID)],
  ],
  [
    "a list of contexts knows wildcards, a selection does not",
    [
      t.option(t.STRUCTURED),
      t.option(t.LIST_META, t.metaData("disk")),
      t.option(t.LIST_META, t.metaData("disk", "base:")),
      t.option(t.LIST_META, t.metaData("disk", "x-test:any", "base:other")),
      t.option(t.SET_META, t.metaData("disk")),
      t.option(t.SET_META, t.metaData("disk", "base:")),
      t.option(t.SET_META, t.metaData("disk", "x-test:any", "base:allocation")),
    ],
    [
      reply(t.STRUCTURED, t.ACK),
      reply(t.LIST_META, t.REP_META, concat([u32(0), text("base:allocation")])),
      reply(t.LIST_META, t.ACK),
      reply(t.LIST_META, t.REP_META, concat([u32(0), text("base:allocation")])),
      reply(t.LIST_META, t.ACK),
      reply(t.LIST_META, t.ACK),
      reply(t.SET_META, t.ACK),
      reply(t.SET_META, t.ACK),
      reply(t.SET_META, t.REP_META, concat([u32(1), text("base:allocation")])),
      reply(t.SET_META, t.ACK),
    ],
  ],
  [
    "a context without a namespace is invalid, one of an unknown export unknown",
    [
      t.option(t.STRUCTURED),
      t.option(t.SET_META, t.metaData("disk", "allocation")),
      t.option(t.LIST_META, t.metaData("other")),
    ],
    [reply(t.STRUCTURED, t.ACK), reply(t.SET_META, t.INVALID), reply(t.LIST_META, t.UNKNOWN)],
  ],
  [
    "unknown options, TLS and extended headers are refused whatever they contain",
    [
      t.option(5),
      t.option(11),
      t.option(4, new Uint8Array(100)),
      t.option(0xffffffff, new Uint8Array(70_000)),
      t.option(t.ABORT),
    ],
    [
      reply(5, t.UNSUP),
      reply(11, t.UNSUP),
      reply(4, t.UNSUP),
      reply(0xffffffff, t.UNSUP),
      reply(t.ABORT, t.ACK),
    ],
  ],
  [
    "an option that is too long is skipped and refused",
    [t.option(t.INFO, new Uint8Array(65_537)), t.option(t.ABORT, new Uint8Array(9))],
    [reply(t.INFO, t.TOO_BIG), reply(t.ABORT, t.ACK)],
  ],
];

for (const [rule, client, server] of DIALOGUES) {
  Deno.test(rule, async () => {
    assertEquals(await answers(...client), concat([GREETING, ...server]));
  });
}

const MALFORMED: readonly Uint8Array[] = [
  new Uint8Array(),
  u32(0),
  concat([u32(4), text("disk")]),
  concat([u32(0xffffffff), text("disk"), u16(0)]),
  concat([u32(4), text("disk"), u16(2), u16(0)]),
  concat([u32(4), text("disk"), u16(0), u16(0)]),
  concat([u32(4), text("d\0sk"), u16(0)]),
  concat([u32(2), hex("c328"), u16(0)]),
  concat([u32(4097), new Uint8Array(4097).fill(97), u16(0)]),
];

Deno.test("malformed data of INFO is invalid", async () => {
  for (const data of MALFORMED) {
    const expected = concat([GREETING, reply(t.INFO, t.INVALID)]);
    assertEquals(await answers(t.option(t.INFO, data)), expected);
  }
});

Deno.test("malformed data of a context selection is invalid and selects nothing", async () => {
  const whole = t.metaData("disk", "base:allocation");
  for (let length = 0; length <= whole.length + 1; length++) {
    if (length === whole.length) continue;
    const data = concat([whole, u32(0)]).subarray(0, length);
    const heard = await answers(t.option(t.STRUCTURED), t.option(t.SET_META, data));
    const expected = [GREETING, reply(t.STRUCTURED, t.ACK), reply(t.SET_META, t.INVALID)];
    assertEquals(heard, concat(expected), `${length} bytes`);
  }
});

Deno.test("a client without flags enters with EXPORT_NAME and gets its zeroes", async () => {
  const talk = new t.Talk(new MemoryDevice());
  const heard = await talk.all(u32(0), t.option(t.EXPORT_NAME, text("disk")), t.request(2, 0, 0));
  assertEquals(heard, concat([GREETING, u64(SIZE), u16(FLAGS), new Uint8Array(124)]));
  await talk.serving;
});

Deno.test("a client that knows NO_ZEROES gets none", async () => {
  const talk = new t.Talk(new MemoryDevice({ readOnly: true }));
  const heard = await talk.all(u32(3), t.option(t.EXPORT_NAME, text("disk")), t.request(2, 0, 0));
  assertEquals(heard, concat([GREETING, u64(SIZE), u16(FLAGS | 2)]));
});

Deno.test("the server hangs up on what has no reply", async () => {
  const faults: [Uint8Array[], string][] = [
    [[u32(4)], "not-nbd"],
    [[u32(3), new Uint8Array(16)], "protocol-error"],
    [[u32(0), t.option(t.LIST)], "protocol-error"],
    [[u32(3), t.option(t.EXPORT_NAME, text("other"))], "unknown-export"],
    [[u32(3), t.option(t.EXPORT_NAME, new Uint8Array(5000))], "protocol-error"],
    [[u32(3), ...Array<Uint8Array>(1025).fill(t.option(99))], "protocol-error"],
  ];
  for (const [says, code] of faults) {
    const talk = new t.Talk(new MemoryDevice());
    const [error] = await Promise.all([
      assertRejects(() => talk.serving, NbdError),
      talk.all(...says).catch(() => {}),
    ]);
    assertEquals(error.code, code);
  }
});

Deno.test("a negotiation is the same wherever its bytes are split", async () => {
  const says = [u32(3), ...DIALOGUES.flatMap(([, options]) => options).slice(0, 4)];
  const whole = await new t.Talk(new MemoryDevice()).all(...says);
  const random = randomOf(3);
  for (const chunk of [() => 1, () => 3, () => 1 + Math.floor(random() * 40)]) {
    assertEquals(await new t.Talk(new MemoryDevice(), { chunk }).all(...says), whole);
  }
});

Deno.test("a client that takes too long for its negotiation is disconnected", async () => {
  const clock = new ManualClock();
  const talk = new t.Talk(new MemoryDevice(), { clock, timeoutMs: 5000 });
  await talk.say(u32(3), t.option(t.LIST).subarray(0, 15));
  const ended = assertRejects(() => talk.serving, NbdError, "Waited 5.0 s");
  await clock.advance(5000);
  assertEquals((await ended).code, "timeout");
});
