import { assertEquals } from "@std/assert";
import { limits } from "../../../src/tunnel/mod.ts";
import {
  encodeHello,
  encodePreface,
  parseHello,
  parsePreface,
} from "../../../src/tunnel/wire/hello.ts";
import * as wire from "../../../src/tunnel/wire/layout.ts";

Deno.test("a HELLO with every number at its bound is accepted", () => {
  const hello = {
    role: "connecting" as const,
    hasSecret: true,
    decompresses: true,
    lanes: 4,
    maxData: limits.MIN_MAX_DATA,
    maxStreams: 1,
    firstWindow: limits.FIRST_WINDOW,
    rpcWindow: limits.RPC_WINDOW,
    graceMs: limits.MAX_GRACE_MS,
    sessionId: new Uint8Array(wire.SESSION_ID_LENGTH),
    nonce: new Uint8Array(wire.NONCE_LENGTH),
    version: "1.0.0",
  };
  const parsed = parseHello(encodeHello(hello).subarray(wire.HEADER_LENGTH));
  assertEquals([parsed.maxData, parsed.maxStreams, parsed.graceMs], [4096, 1, 86_400_000]);
  assertEquals(parsed.decompresses, true);
  assertEquals(parsed.lanes, 4);
});

Deno.test("a HELLO of a later minor version is understood, whatever its reserved bytes say", () => {
  const hello = encodeHello({
    ...{ role: "connecting" as const, hasSecret: true, version: "1.7.0", graceMs: 1000 },
    decompresses: false,
    lanes: 0,
    ...{ maxData: 65536, maxStreams: 16, firstWindow: 65536, rpcWindow: 65536 },
    ...{ sessionId: new Uint8Array(16), nonce: new Uint8Array(32) },
  }).slice(wire.HEADER_LENGTH);
  const plain = parseHello(hello);
  const later = hello.slice();
  later[1] = later[1]! | 0xf8;
  later.fill(0xff, 2, 4);
  later.fill(0xff, 24, 32);
  assertEquals(parseHello(later), plain);
  const preface = encodePreface();
  const minor = preface.length - 1;
  preface[minor] = preface[minor]! + 7;
  assertEquals(parsePreface(preface), { major: 1, minor: wire.VERSION_MINOR + 7 });
});
