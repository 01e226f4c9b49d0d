import { assertEquals } from "@std/assert";
import { ReadBufferPool } from "../../../src/tunnel/connection/buffers.ts";
import { limits } from "../../../src/tunnel/mod.ts";
import { TunnelStream } from "../../../src/tunnel/stream/stream.ts";
import { sessionPair } from "../session_pair.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

/** Grants far more often than a stream needs to get the largest window there is. */
function grantOften(stream: TunnelStream): number {
  for (let i = 0; i < 20; i++) stream.grantCredit();
  return stream.creditOut;
}

Deno.test("a lone stream's window grows to 32 MiB, the RPC's stays at 256 KiB", async () => {
  const { connecting, listening } = await sessionPair();
  assertEquals(grantOften(connecting.open()), 32 * MiB);
  assertEquals(grantOften(connecting.rpc), 256 * KiB);
  connecting.abort("test over", "stopped");
  await listening.ended;
});

Deno.test("256 streams share 128 MiB of windows equally", async () => {
  const { connecting, listening } = await sessionPair();
  const streams = Array.from({ length: 256 }, () => connecting.open());
  const windows = streams.map(grantOften);
  assertEquals(new Set(windows), new Set([512 * KiB]));
  connecting.abort("test over", "stopped");
  await listening.ended;
});

Deno.test("a stream that came late gets 64 KiB where earlier streams have used up the 128 MiB", async () => {
  const { connecting, listening } = await sessionPair();
  const windows = Array.from({ length: 256 }, () => grantOften(connecting.open()));
  // Four take all of it; the others get the minimum that every stream has.
  assertEquals(windows.slice(0, 6), [32, 32, 32, 32, 1 / 16, 1 / 16].map((n) => n * MiB));
  assertEquals(windows.at(-1), 64 * KiB);
  connecting.abort("test over", "stopped");
  await listening.ended;
});

/** What a stream grants as soon as it is read, bytes, on a connection with this round trip. */
function firstGrant(rttMs: number, most = limits.STREAM_WINDOW): number {
  let owed = 0;
  const stream = new TunnelStream(
    1,
    { lane: 0, rttMs, maxWindowFor: () => most, now: () => 0, mayPin: true, streamDone() {} },
    {
      ...{ maxData: limits.MAX_DATA, readyToSend() {}, owesReset() {} },
      owesCredit: () => void owed++,
      takeFrameBuffer: () => {
        throw new Error("Nothing is sent here");
      },
    },
    limits.FIRST_WINDOW,
    limits.FIRST_WINDOW,
  );
  stream.widenWindow();
  return owed === 0 ? limits.FIRST_WINDOW : stream.grantCredit();
}

Deno.test("the first window grows with the round trip, up to a bound and the stream's share", () => {
  assertEquals(firstGrant(0.1), limits.FIRST_WINDOW);
  assertEquals(firstGrant(1), limits.FIRST_WINDOW);
  assertEquals(firstGrant(16), MiB);
  assertEquals(firstGrant(50), 3.125 * MiB);
  assertEquals(firstGrant(300), 4 * MiB);
  assertEquals(firstGrant(300, MiB / 2), MiB / 2);
});

Deno.test("slow streams pin read buffers up to a limit, above which bytes are copied", () => {
  const pool = new ReadBufferPool();
  const pinned = Array.from({ length: limits.MAX_PINNED_READ_BUFFERS }, () => pool.take());
  assertEquals(pool.mayPin, true);
  const over = pool.take();
  assertEquals(pool.mayPin, false);
  over.release();
  assertEquals(pool.mayPin, true);
  for (const buffer of pinned) buffer.release();
});
