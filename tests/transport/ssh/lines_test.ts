import { assertEquals } from "@std/assert";
import { linesOf } from "../../../src/transport/ssh/lines.ts";

/** The lines of a stream that brings the text in pieces of `size` bytes. */
async function lines(text: string, size: number): Promise<string[]> {
  const bytes = new TextEncoder().encode(text);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return await Array.fromAsync(linesOf(ReadableStream.from(pieces)));
}

Deno.test("lines are the same however a stream is cut, with or without a last line end", async () => {
  for (const size of [1, 2, 3, 7, 100]) {
    assertEquals(await lines("é1\r\n\nthree\nfour", size), ["é1", "", "three", "four"], `${size}`);
    assertEquals(await lines("a\nb\n", size), ["a", "b"]);
  }
});

Deno.test("a line is cut at 4096 bytes, and the line after it is whole", async () => {
  for (const size of [1000, 4096, 4097, 9000]) {
    const text = `${"x".repeat(5000)}\n${"y".repeat(4096)}\nz`;
    assertEquals(await lines(text, size), ["x".repeat(4096), "y".repeat(4096), "z"], `${size}`);
  }
});
