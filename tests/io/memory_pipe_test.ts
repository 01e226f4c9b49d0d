import { assertEquals, assertRejects } from "@std/assert";
import { readFull, UnexpectedEndError, writeAll } from "../../src/io/mod.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

Deno.test("bytes written at one end are read at the other, through a buffer of one byte", async () => {
  const [a, b] = memoryPipe({ capacity: 1 });
  const sent = Uint8Array.from([1, 2, 3, 4, 5]);
  const writing = writeAll(a, sent);
  const got = new Uint8Array(5);
  assertEquals(await readFull(b, got), true);
  await writing;
  assertEquals(got, sent);
});

Deno.test("readFull fails when the stream ends in the middle and returns false when it ends before", async () => {
  const [a, b] = memoryPipe();
  await writeAll(a, Uint8Array.of(1));
  await a.closeWrite();
  await assertRejects(() => readFull(b, new Uint8Array(2)), UnexpectedEndError, "1 of 2");
  assertEquals(await readFull(b, new Uint8Array(2)), false);
});
