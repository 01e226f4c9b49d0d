import { assertEquals, assertRejects } from "@std/assert";
import { type BytePipe, silentLogger, writeAll } from "../../src/io/mod.ts";
import { connectSession } from "../../src/tunnel/connect.ts";
import { limits } from "../../src/tunnel/mod.ts";
import { pattern } from "../support/bytes.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { memoryPipe } from "../support/memory_pipe.ts";
import { listeningEnd, LOCAL } from "./raw_peer.ts";
import { sessionPair } from "./session_pair.ts";

Deno.test("a clean end that takes too long becomes an abort at its deadline", async () => {
  const clock = new ManualClock();
  const { connecting, listening } = await sessionPair({ clock });
  listening.accept(connecting.open().id);
  const closing = connecting.close();
  await clock.advance(limits.CLOSE_MS - 1);
  assertEquals(connecting.state, "up");
  await clock.advance(1);
  assertEquals((await closing)?.message, "The session could not be ended cleanly within 10 s");
  await clock.advance(1000);
  assertEquals((await listening.ended)?.code, "ended-by-peer");
  assertEquals(clock.armed, 0);
});

Deno.test("an end that is done waits 5 s for a peer that may not know it yet", async () => {
  const clock = new ManualClock();
  const [near, far] = memoryPipe();
  let closing = false;
  let saidGoaway = false;
  const deaf: BytePipe = {
    read: (into) => near.read(into),
    async write(from) {
      // GOAWAY is the last frame that arrives: the ACK of the other end's GOAWAY does not.
      if (saidGoaway) return from.length;
      saidGoaway = closing;
      return await near.write(from);
    },
    closeWrite: () => near.closeWrite(),
    close: () => near.close(),
  };
  const { connecting, listening } = await sessionPair({
    clock,
    graceMs: 60_000,
    pipes: [deaf, far],
  });
  await settle();
  closing = true;
  assertEquals(await connecting.close(), undefined);
  await settle();
  assertEquals(listening.state, "down");
  await clock.advance(limits.LINGER_MS - 1);
  assertEquals(listening.state, "down");
  await clock.advance(1);
  assertEquals(listening.state, "ended");
  assertEquals(await listening.ended, undefined);
  assertEquals(clock.armed, 0);
});

Deno.test("attempts to reconnect start after 0.1 s, double up to 5 s, and end with the grace", async () => {
  const clock = new ManualClock();
  const end = listeningEnd(60_000);
  const tries: number[] = [];
  let dials = 0;
  const session = await connectSession({
    dial: () => dials++ === 0 ? end.network.dial() : Promise.reject(new Error("no route")),
    local: { ...LOCAL, graceMs: 60_000 },
    clock,
    log: silentLogger,
    connectMs: 10_000,
    mayReconnect: true,
    random: () => 1,
    onAttempt: () => tries.push(clock.now()),
  });
  await session.first.detach(new Error("cut by the test"));
  await clock.advance(59_999);
  assertEquals(session.state, "down");
  await clock.advance(1);
  assertEquals((await session.ended)?.code, "lost");
  const gaps = tries.slice(1).map((at, i) => at - tries[i]!);
  assertEquals(gaps.slice(0, 8), [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  assertEquals(clock.armed, 0);
  for (const other of end.sessions) other.abort("test over", "stopped");
  await end.server.close();
});

Deno.test("a stream that was ended for sending accepts nothing more", async () => {
  const { connecting, listening } = await sessionPair();
  const a = connecting.open();
  listening.accept(a.id);
  await writeAll(a, pattern(10));
  await a.closeWrite();
  await assertRejects(() => a.write(pattern(1)), TypeError, "was ended for sending");
  connecting.abort("test over", "stopped");
  await listening.ended;
});
