import { assertEquals, assertRejects } from "@std/assert";
import { lazyPipe } from "../../../src/migrate/disks/lazy_pipe.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

Deno.test("a lazy pipe connects at its first byte, and only once", async () => {
  const [ours, theirs] = memoryPipe();
  let connections = 0;
  const pipe = lazyPipe(() => {
    connections++;
    return Promise.resolve(ours);
  });
  const reading = pipe.read(new Uint8Array(8));
  await Promise.resolve();
  assertEquals(connections, 0);
  await pipe.write(new Uint8Array([1]));
  await pipe.write(new Uint8Array([2]));
  assertEquals(connections, 1);
  const got = new Uint8Array(8);
  assertEquals([await theirs.read(got), got[0], got[1]], [2, 1, 2]);
  await theirs.write(new Uint8Array([3]));
  assertEquals(await reading, 1);
  pipe.close();
});

Deno.test("a lazy pipe that is ended or closed before its first byte never connects", async () => {
  const pipe = lazyPipe(() => Promise.reject(new Error("connected")));
  const reading = pipe.read(new Uint8Array(8));
  reading.catch(() => {});
  await pipe.closeWrite();
  pipe.close();
  await assertRejects(() => reading, Error, "closed");
  await assertRejects(() => pipe.write(new Uint8Array([1])), Error, "closed");
});

Deno.test("a lazy pipe that cannot connect fails the write and the read", async () => {
  const pipe = lazyPipe(() => Promise.reject(new Error("no such socket")));
  const reading = pipe.read(new Uint8Array(8));
  await assertRejects(() => pipe.write(new Uint8Array([1])), Error, "no such socket");
  await assertRejects(() => reading, Error, "no such socket");
});
