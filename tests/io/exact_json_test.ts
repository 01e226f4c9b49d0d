import { assertEquals, assertThrows } from "@std/assert";
import { parseExact } from "../../src/io/mod.ts";

Deno.test("a bandwidth or size of 64 bits is written with the digits that were read", () => {
  const text = '{"max-bandwidth":18446744073709551615,"xbzrle-cache-size":9223372036853727232}';
  assertEquals(JSON.stringify(parseExact(text)), text);
  assertEquals(JSON.stringify(parseExact(JSON.stringify(parseExact(text)))), text);
});

Deno.test("numbers that JavaScript holds exactly, and other members, stay plain numbers", () => {
  const text = '{"max-bandwidth":9007199254740991,"id":18446744073709551615}';
  const { "max-bandwidth": bandwidth, id } = parseExact(text) as Record<string, unknown>;
  assertEquals([bandwidth, typeof id], [9007199254740991, "number"]);
  assertThrows(() => parseExact("{12345678901234567"), SyntaxError);
});
