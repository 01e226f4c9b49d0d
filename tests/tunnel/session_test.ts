import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { writeAll } from "../../src/io/mod.ts";
import { StreamResetError } from "../../src/tunnel/errors.ts";
import { pattern, readAll } from "../support/bytes.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { sessionPair } from "./session_pair.ts";

Deno.test("bytes cross in both directions, and each direction ends by itself", async () => {
  const { connecting, listening } = await sessionPair();
  const a = connecting.open();
  const b = listening.accept(a.id);
  const forth = pattern(3_000_000);
  const back = pattern(1_000_000, 7);
  const sending = writeAll(a, forth).then(() => a.closeWrite());
  assertEquals(await readAll(b), forth);
  await sending;
  const answering = writeAll(b, back).then(() => b.closeWrite());
  assertEquals(await readAll(a), back);
  await answering;
  await Promise.all([a.ended, b.ended]);
  assertEquals(await Promise.all([connecting.close(), listening.close()]), [undefined, undefined]);
});

Deno.test("a reset reaches the other end with its reason, and the session goes on", async () => {
  const { connecting, listening } = await sessionPair();
  const a = connecting.open();
  const b = listening.accept(a.id);
  const reading = b.read(new Uint8Array(10));
  a.reset("read-failed", "disk on fire");
  const error = await assertRejects(() => reading, StreamResetError, "disk on fire");
  assertEquals(error.by, "peer");
  const c = connecting.open();
  const d = listening.accept(c.id);
  await writeAll(c, pattern(10));
  await c.closeWrite();
  assertEquals(await readAll(d), pattern(10));
  await d.closeWrite();
  assertEquals(await connecting.close(), undefined);
});

Deno.test("a new bandwidth limit applies at once, also to frames that wait by the old one", async () => {
  const clock = new ManualClock();
  const { connecting, listening } = await sessionPair({ clock });
  connecting.setBandwidth(100);
  const a = connecting.open();
  const b = listening.accept(a.id);
  const bytes = pattern(300_000);
  const sending = writeAll(a, bytes).then(() => a.closeWrite());
  const reading = readAll(b);
  // The first frame goes out on credit; the second one would have to wait for minutes.
  await clock.advance(1000);
  assertEquals(connecting.bytes < 200_000, true, `${connecting.bytes} bytes`);
  connecting.setBandwidth(Infinity);
  await clock.advance(0);
  await clock.advance(0);
  assertEquals((await Promise.race([reading, settled()]))?.length, bytes.length);
  await sending;
  connecting.abort("test over", "stopped");
  await listening.ended;
});

/** Later than whatever needs no time. */
async function settled(): Promise<undefined> {
  for (let i = 0; i < 100; i++) await settle();
  return undefined;
}

Deno.test("a reader that stops delays its own stream alone", async () => {
  const { connecting, listening } = await sessionPair();
  const slow = connecting.open();
  listening.accept(slow.id);
  let written = 0;
  const stuck = (async () => {
    while (true) written += await slow.write(new Uint8Array(65536));
  })();
  stuck.catch(() => {});
  const quick = connecting.open();
  const other = listening.accept(quick.id);
  const bytes = pattern(5_000_000);
  writeAll(quick, bytes).then(() => quick.closeWrite());
  assertEquals(await readAll(other), bytes);
  assertEquals(written <= 1024 * 1024 + 2 * 65536, true);
  connecting.abort("test over", "stopped");
  assertInstanceOf(await stuck.catch((e) => e), Error);
  await listening.ended;
});
