import { assertEquals } from "@std/assert";
import { readFull, writeAll } from "../../../src/io/mod.ts";
import { splice } from "../../../src/tunnel/stream/splice.ts";
import type { TunnelStream } from "../../../src/tunnel/stream/stream.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { memoryPipe, type MemoryPipeEnd } from "../../support/memory_pipe.ts";
import { sessionPair } from "../session_pair.ts";

const LAST_WORDS = 300_000;

Deno.test("splice delivers what a program wrote before it closed with bytes unread", async () => {
  await using joined = await join();
  const { stream, far, result } = joined;
  await writeAll(stream, new Uint8Array(10));
  // The other end has read nothing: a socket answers its writer with EPIPE from now on.
  await writeAll(far, filled(LAST_WORDS, 7));
  far.close();
  await writeAll(stream, new Uint8Array(10));

  const got = new Uint8Array(LAST_WORDS);
  assertEquals(await readFull(stream, got), true);
  assertEquals(got, filled(LAST_WORDS, 7));
  assertEquals(await stream.read(new Uint8Array(1)), null, "an end, not a reset");
  await stream.closeWrite();
  assertEquals((await result).sent, LAST_WORDS);
});

Deno.test("splice resets a peer that sends on to a program that has closed", async () => {
  await using joined = await join();
  const { stream, far, result, clock } = joined;
  far.close();
  await writeAll(stream, new Uint8Array(10));
  assertEquals(await stream.read(new Uint8Array(1)), null);
  let failure: unknown;
  const sending = (async () => {
    try {
      while (true) await writeAll(stream, new Uint8Array(65536));
    } catch (error) {
      failure = error;
    }
  })();
  await clock.advance(6000);
  await sending;
  assertEquals((failure as { code?: string }).code, "write-failed");
  assertEquals((await result).error?.message.includes("Broken pipe"), true);
});

function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

interface Joined extends AsyncDisposable {
  /** The peer's end of the stream. */
  readonly stream: TunnelStream;
  /** The program's end of the socket. */
  readonly far: MemoryPipeEnd;
  readonly result: ReturnType<typeof splice>;
  readonly clock: ManualClock;
}

async function join(): Promise<Joined> {
  const { connecting, listening } = await sessionPair();
  const clock = new ManualClock();
  const [near, far] = memoryPipe({ capacity: LAST_WORDS });
  const stream = connecting.open();
  const result = splice(listening.accept(stream.id), near, { clock });
  return {
    stream,
    ...{ far, result, clock },
    async [Symbol.asyncDispose]() {
      near.close();
      await Promise.all([connecting.close(), listening.close()]);
    },
  };
}
