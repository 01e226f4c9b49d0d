import { assertEquals, assertRejects } from "@std/assert";
import type { BytePipe } from "../../../src/io/mod.ts";
import { RamStreams } from "../../../src/migrate/destination/ram_streams.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { turns } from "./support.ts";

/** The far ends of the connections to QEMU, in the order in which they were made. */
function fakeStreams(count: number, begin = () => Promise.resolve()) {
  const connected: BytePipe[] = [];
  const streams = new RamStreams({
    ...{ count, begin },
    connect: () => {
      const [ours, theirs] = memoryPipe();
      connected.push(theirs);
      return Promise.resolve(ours);
    },
  });
  return { connected, streams };
}

Deno.test("QEMU's first connection is the main stream, whichever stream has bytes first", async () => {
  const { connected, streams } = fakeStreams(3);
  const [main, a, b] = [await streams.dial(), await streams.dial(), await streams.dial()];
  const writing = [b.write(new Uint8Array([2])), a.write(new Uint8Array([1]))];
  await turns();
  assertEquals(connected.length, 0);
  writing.push(main.write(new Uint8Array([0])));
  await Promise.all(writing);
  const firsts = [];
  for (const pipe of connected) {
    const byte = new Uint8Array(1);
    await pipe.read(byte);
    firsts.push(byte[0]);
  }
  assertEquals([firsts[0], firsts.toSorted()], [0, [0, 1, 2]]);
  for (const pipe of [main, a, b]) pipe.close();
});

Deno.test("QEMU waits for RAM once, before any of the streams is answered", async () => {
  let begun = 0;
  const ready = Promise.withResolvers<void>();
  const { streams } = fakeStreams(2, () => {
    begun++;
    return ready.promise;
  });
  let answered = 0;
  const dialling = [streams.dial(), streams.dial()];
  for (const pipe of dialling) pipe.then(() => answered++);
  await turns();
  assertEquals([begun, answered], [1, 0]);
  ready.resolve();
  await Promise.all(dialling);
  assertEquals([begun, answered], [1, 2]);
});

Deno.test("a stream more than both ends agreed on is refused", async () => {
  const { streams } = fakeStreams(3);
  for (let n = 0; n < 3; n++) await streams.dial();
  await assertRejects(() => streams.dial(), RpcError, "agreed on 3 streams");
});

Deno.test("a stream that waits for the main one ends when it is closed", async () => {
  const { connected, streams } = fakeStreams(2);
  await streams.dial();
  const other = await streams.dial();
  const writing = other.write(new Uint8Array([1]));
  other.close();
  await assertRejects(() => writing, Error, "closed");
  assertEquals(connected.length, 0);
});

Deno.test("streams fail with the main one that cannot be connected", async () => {
  const streams = new RamStreams({
    ...{ count: 2, begin: () => Promise.resolve() },
    connect: () => Promise.reject(new Error("no such socket")),
  });
  const [main, other] = [await streams.dial(), await streams.dial()];
  const writing = other.write(new Uint8Array([1]));
  writing.catch(() => {});
  await assertRejects(() => main.write(new Uint8Array([0])), Error, "no such socket");
  await assertRejects(() => writing, Error, "no such socket");
});
