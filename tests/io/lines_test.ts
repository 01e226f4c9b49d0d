import { assertEquals, assertRejects } from "@std/assert";
import { readLines } from "../../src/io/mod.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A pipe whose reads return these parts, then the end or an error. */
function reading(parts: readonly Uint8Array[], failure?: Error) {
  const left = parts.filter((part) => part.length > 0);
  return {
    read(into: Uint8Array): Promise<number | null> {
      const part = left.shift();
      if (part === undefined) return failure ? Promise.reject(failure) : Promise.resolve(null);
      into.set(part);
      return Promise.resolve(part.length);
    },
  };
}

const all = (...of: Parameters<typeof readLines>) => Array.fromAsync(readLines(...of));

Deno.test("readLines yields the same lines wherever the bytes are split", async () => {
  const text = bytes('{"a":"ü€😀"}\r\n\n{"b":1}\n');
  for (let first = 0; first <= text.length; first++) {
    const parts = [text.subarray(0, first), text.subarray(first)];
    assertEquals(await all(reading(parts)), ['{"a":"ü€😀"}', "", '{"b":1}'], `split at ${first}`);
  }
});

Deno.test("readLines yields a line before more bytes come", async () => {
  const silent = { read: () => new Promise<null>(() => {}) };
  const first = reading([bytes("one\ntwo")]);
  let reads = 0;
  const lines = readLines({ read: (into) => reads++ === 0 ? first.read(into) : silent.read() });
  assertEquals(await lines.next(), { done: false, value: "one" });
});

Deno.test("readLines drops an unfinished last line", async () => {
  assertEquals(await all(reading([bytes("whole\nhal")])), ["whole"]);
  assertEquals(await all(reading([bytes("hal"), bytes("f")])), []);
});

Deno.test("readLines accepts a line of the limit and refuses one byte more", async () => {
  const parts = [bytes("a\n012"), bytes("3456789\nb\n")];
  assertEquals(await all(reading(parts), 10), ["a", "0123456789", "b"]);
  await assertRejects(() => all(reading(parts), 9), RangeError, "more than 9 bytes");
});

Deno.test("readLines fails with the error of a read", async () => {
  await assertRejects(() => all(reading([bytes("one\n")], new Error("gone"))), Error, "gone");
});
