import { assertEquals } from "@std/assert";
import { LastRequests } from "../../../src/nbd/mod.ts";
import { decodeHex, encodeHex } from "@std/encoding/hex";

const COOKIE = "1122334455667788";
const FLUSH = `25609513 0000 0003 ${COOKIE} 0000000000000000 00000000`;
const FLUSHED = `67446698 00000000 ${COOKIE}`;
const EXTENDED_FLUSH = `21e41c71 0000 0003 ${COOKIE} 0000000000000010 0000000000000000`;
const EXTENDED_FLUSHED = `6e8a278c 0001 0000 ${COOKIE} 0000000000000010 0000000000000000`;
const DISCONNECT = "25609513 0000 0002 0000000000000000 0000000000000000 00000000";
const WRITE = `25609513 0000 0001 ${COOKIE} 0000000000000000 00000200`;

Deno.test("a flush is answered with success, in the form of the request", () => {
  assertEquals(answers([FLUSH]), [FLUSHED]);
  assertEquals(answers([EXTENDED_FLUSH]), [EXTENDED_FLUSHED]);
  assertEquals(answers([FLUSH + FLUSH, EXTENDED_FLUSH]), [FLUSHED, FLUSHED, EXTENDED_FLUSHED]);
});

Deno.test("a request that arrives in pieces is answered once", () => {
  const pieces = EXTENDED_FLUSH.replaceAll(" ", "").match(/../g)!;
  assertEquals(answers(pieces), [EXTENDED_FLUSHED]);
});

Deno.test("a disconnect ends the connection after the earlier flush is answered", () => {
  assertEquals(answers([FLUSH + DISCONNECT]), [FLUSHED, "over"]);
});

Deno.test("a write or an invalid request ends the connection without an answer", () => {
  assertEquals(answers([WRITE]), ["over"]);
  assertEquals(answers(["00".repeat(28)]), ["over"]);
});

function answers(pieces: readonly string[]): string[] {
  const last = new LastRequests();
  return pieces.flatMap((piece) => {
    const { replies, over } = last.take(decodeHex(piece.replaceAll(" ", "")));
    return [...replies.map((reply) => encodeHex(reply)), ...over ? ["over"] : []];
  }).map((text) => SPACED.get(text) ?? text);
}

const SPACED = new Map([FLUSHED, EXTENDED_FLUSHED].map((text) => [text.replaceAll(" ", ""), text]));
