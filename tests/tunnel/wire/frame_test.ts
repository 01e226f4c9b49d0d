import { assertEquals, assertThrows } from "@std/assert";
import { encodeHex } from "@std/encoding/hex";
import { ProtocolError } from "../../../src/tunnel/errors.ts";
import {
  codeFrame,
  type FrameHeader,
  frameOf,
  FrameParser,
  getU64,
  parseHeader,
  putU64,
  resetFrame,
  u64Frame,
} from "../../../src/tunnel/wire/frame.ts";
import {
  encodeHello,
  encodePreface,
  type Hello,
  parseHello,
} from "../../../src/tunnel/wire/hello.ts";
import * as limits from "../../../src/tunnel/limits.ts";
import * as wire from "../../../src/tunnel/wire/layout.ts";
import { concat, pattern } from "../../support/bytes.ts";

/** Writes down what a parser hands out; pieces of one frame are joined. */
function record(feed: (parser: FrameParser) => void): string[] {
  const seen: string[] = [];
  let data: Uint8Array[] = [];
  feed(
    new FrameParser({
      dataBegin: () => void (data = []),
      dataPiece: (_header: FrameHeader, bytes: Uint8Array) => void data.push(bytes.slice()),
      dataEnd: (h) =>
        void seen.push(`data ${h.stream} flags ${h.flags} ${encodeHex(concat(data))}`),
      control: (h, payload) => void seen.push(`type ${h.type} ${h.stream} ${encodeHex(payload)}`),
    }),
  );
  return seen;
}

const HELLO: Hello = {
  role: "connecting",
  hasSecret: true,
  decompresses: false,
  lanes: 0,
  maxData: 262144,
  maxStreams: 256,
  firstWindow: 1048576,
  rpcWindow: 262144,
  graceMs: 60000,
  sessionId: pattern(16, 1),
  nonce: pattern(32, 2),
  version: "1.2.3",
};

Deno.test("each frame is laid out on the wire as the specification says", () => {
  assertEquals(encodeHex(encodePreface()), "89564d46455252590d0a1a0a00010000");
  assertEquals(
    encodeHex(frameOf(wire.DATA, 3, Uint8Array.of(0xaa, 0xbb), wire.FLAG_FIN)),
    "00000002" + "10" + "01" + "0000" + "00000003" + "aabb",
  );
  assertEquals(
    encodeHex(u64Frame(wire.CREDIT, 5, 2 ** 40 + 7)),
    "00000008" + "11" + "00" + "0000" + "00000005" + "0000010000000007",
  );
  assertEquals(
    encodeHex(u64Frame(wire.ACK, 0, 4096)),
    "00000008" + "06" + "00" + "0000" + "00000000" + "0000000000001000",
  );
  assertEquals(
    encodeHex(resetFrame(1, wire.RESET_CODES["write-failed"], 9, "no")),
    "0000000c" + "12" + "00" + "0000" + "00000001" + "0003" + "0000000000000009" + "6e6f",
  );
  assertEquals(
    encodeHex(codeFrame(wire.GOAWAY, wire.GOAWAY_CODES.done, "")),
    "00000002" + "13" + "00" + "0000" + "00000000" + "0000",
  );
  const hello = encodeHello(HELLO);
  assertEquals(
    encodeHex(hello.subarray(0, 36)),
    "0000006001000000" + "00000000" + "01010000" +
      "00040000" + "00000100" + "00100000" + "00040000" + "0000ea60",
  );
  assertEquals(hello.length, wire.HEADER_LENGTH + wire.HELLO_LENGTH);
  assertEquals(parseHello(hello.subarray(wire.HEADER_LENGTH)), HELLO);
});

Deno.test("a recorded stream gives the same frames however it is split", () => {
  const stream = concat([
    encodeHello(HELLO),
    frameOf(wire.DATA, 1, pattern(40)),
    frameOf(wire.DATA, 3, new Uint8Array(), wire.FLAG_FIN),
    u64Frame(wire.ACK, 0, 1),
    resetFrame(3, 1, 0, "reason"),
    frameOf(wire.DATA, 1, pattern(7), wire.FLAG_FIN),
    codeFrame(wire.GOAWAY, 0, ""),
  ]);
  const whole = record((parser) => parser.push(stream));
  assertEquals(whole.length, 7);
  for (let at = 0; at <= stream.length; at++) {
    const split = record((parser) => {
      parser.push(stream.subarray(0, at));
      parser.push(stream.subarray(at));
    });
    assertEquals(split, whole, `split at ${at}`);
  }
  const bytewise = record((parser) => {
    for (const byte of stream) parser.push(Uint8Array.of(byte));
  });
  assertEquals(bytewise, whole);
});

Deno.test("a parser knows whether it is between two frames", () => {
  const parser = new FrameParser({
    dataBegin() {},
    dataPiece() {},
    dataEnd() {},
    control() {},
  });
  const frame = frameOf(wire.DATA, 1, pattern(3));
  for (let i = 0; i < frame.length; i++) {
    assertEquals(parser.atBoundary, i === 0, `after ${i} bytes`);
    parser.push(frame.subarray(i, i + 1));
  }
  assertEquals(parser.atBoundary, true);
});

Deno.test("a header that breaks a rule is refused before anything is allocated for it", () => {
  const bad: [string, number[]][] = [
    ["unknown type 0", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["unknown type 255", [0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0]],
    ["4294967295 bytes", [255, 255, 255, 255, wire.DATA, 0, 0, 0, 0, 0, 0, 1]],
    ["262145 bytes", [0, 4, 0, 1, wire.DATA, 0, 0, 0, 0, 0, 0, 1]],
    ["7 bytes, expected 8", [0, 0, 0, 7, wire.ACK, 0, 0, 0, 0, 0, 0, 0]],
    ["9 bytes, expected 8", [0, 0, 0, 9, wire.CREDIT, 0, 0, 0, 0, 0, 0, 1]],
    ["flags 4", [0, 0, 0, 0, wire.DATA, 4, 0, 0, 0, 0, 0, 1]],
    ["flags 1", [0, 0, 0, 8, wire.ACK, 1, 0, 0, 0, 0, 0, 0]],
    ["reserved bits are 1", [0, 0, 0, 0, wire.DATA, 0, 0, 1, 0, 0, 0, 1]],
    ["type 6 on stream 1", [0, 0, 0, 8, wire.ACK, 0, 0, 0, 0, 0, 0, 1]],
    ["type 18 on stream 0", [0, 0, 0, 10, wire.RESET, 0, 0, 0, 0, 0, 0, 0]],
    ["523 bytes, expected 10 to 522", [0, 0, 2, 11, wire.RESET, 0, 0, 0, 0, 0, 0, 1]],
  ];
  for (const [message, bytes] of bad) {
    assertThrows(() => parseHeader(Uint8Array.from(bytes)), ProtocolError, message);
  }
});

Deno.test("the largest payload of each kind is accepted", () => {
  const data = frameOf(wire.DATA, 1, new Uint8Array(limits.MAX_DATA));
  assertEquals(parseHeader(data).length, limits.MAX_DATA);
  const reason = "x".repeat(limits.MAX_REASON + 100);
  assertEquals(parseHeader(resetFrame(1, 1, 0, reason)).length, 10 + limits.MAX_REASON);
  assertEquals(parseHeader(codeFrame(wire.GOAWAY, 1, reason)).length, 2 + limits.MAX_REASON);
});

Deno.test("a reason is cut between characters, not inside one", () => {
  const frame = codeFrame(wire.GOAWAY, 1, "€".repeat(400));
  const text = new TextDecoder("utf-8", { fatal: true }).decode(frame.subarray(14));
  assertEquals(text, "€".repeat(170));
});

Deno.test("a count of 2^53 or more is refused, one below it is exact", () => {
  const bytes = new Uint8Array(8);
  putU64(bytes, 0, Number.MAX_SAFE_INTEGER);
  assertEquals(getU64(bytes, 0), Number.MAX_SAFE_INTEGER);
  bytes.fill(255);
  assertThrows(() => getU64(bytes, 0), ProtocolError, "2^53");
});

Deno.test("a HELLO with a member out of bounds is refused by name", () => {
  const cases: [string, Partial<Hello>][] = [
    ["largest DATA payload of 4095", { maxData: 4095 }],
    ["number of streams of 0", { maxStreams: 0 }],
    ["first window of 1", { firstWindow: 1 }],
    ["RPC window of 1", { rpcWindow: 1 }],
    ["grace of 86400001", { graceMs: 86_400_001 }],
  ];
  for (const [message, change] of cases) {
    const payload = encodeHello({ ...HELLO, ...change }).subarray(wire.HEADER_LENGTH);
    assertThrows(() => parseHello(payload), ProtocolError, message);
  }
});
