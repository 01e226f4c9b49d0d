import { assertEquals, assertRejects } from "@std/assert";
import { connectSession } from "../../../src/tunnel/connect.ts";
import { SessionError, StreamResetError } from "../../../src/tunnel/errors.ts";
import * as wire from "../../../src/tunnel/wire/layout.ts";
import { delay, silentLogger, systemClock, writeAll } from "../../../src/io/mod.ts";
import { pattern, readAll } from "../../support/bytes.ts";
import { memoryNetwork } from "../../support/cutting.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { frame, listeningEnd, shout } from "../raw_peer.ts";
import { sessionPair } from "../session_pair.ts";

Deno.test("an end that comes together with bytes is read after them", async () => {
  const { server, intruder } = listeningEnd();
  const { pipe, session } = await intruder();
  const stream = session.accept(1);
  await shout(pipe, frame(wire.DATA, 1, pattern(70), wire.FLAG_FIN));
  assertEquals(await readAll(stream), pattern(70));
  session.abort("test over", "stopped");
  await server.close();
});

Deno.test("each direction ends by itself, whichever end closes first", async () => {
  const { connecting, listening } = await sessionPair();
  for (const first of ["a", "b", "both"]) {
    const a = connecting.open();
    const b = listening.accept(a.id);
    const [one, other] = first === "b" ? [b, a] : [a, b];
    await one.closeWrite();
    if (first === "both") await other.closeWrite();
    assertEquals(await other.read(new Uint8Array(1)), null);
    const late = first === "both" ? new Uint8Array() : pattern(100_000);
    const sending = writeAll(other, late).then(() => other.closeWrite());
    assertEquals(await readAll(one), late);
    await Promise.all([sending, a.ended, b.ended]);
    assertEquals([a.failure, b.failure], [undefined, undefined]);
  }
  assertEquals(await connecting.close(), undefined);
});

Deno.test("a reset fails a writer that waits for credit, with the reason", async () => {
  const { connecting, listening } = await sessionPair();
  const a = connecting.open();
  const b = listening.accept(a.id);
  const writing = assertRejects(
    async () => {
      while (true) await a.write(new Uint8Array(65536));
    },
    StreamResetError,
    "No space left on device",
  );
  await settle();
  b.reset("write-failed", "No space left on device");
  assertEquals((await writing).by, "peer");
  assertEquals([connecting.state, listening.state], ["up", "up"]);
  assertEquals(await connecting.close(), undefined);
});

Deno.test("a thousand streams, 256 at a time, leave nothing behind", async () => {
  const { connecting, listening } = await sessionPair();
  const converse = async (n: number, opener = connecting, other = listening) => {
    const a = opener.open();
    const b = other.accept(a.id);
    const bytes = pattern(100 + n, n);
    const sending = writeAll(a, bytes).then(() => a.closeWrite());
    const echoing = readAll(b).then((got) => writeAll(b, got)).then(() => b.closeWrite());
    assertEquals(await readAll(a), bytes);
    await Promise.all([sending, echoing, a.ended, b.ended]);
  };
  for (let round = 0; round < 2; round++) {
    await Promise.all(
      Array.from(
        { length: 512 },
        (_, n) => n % 2 ? converse(n) : converse(n, listening, connecting),
      ),
    );
  }
  // Only the last acknowledgements may still be on their way.
  while (connecting.inFlight + listening.inFlight > 0) await delay(systemClock, 1);
  assertEquals(await connecting.close(), undefined);
});

/** A signal that knows how many listen to it. */
function countedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    return addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    return removeEventListener.apply(signal, args);
  };
  return { controller, signal, listeners: () => listeners };
}

Deno.test("an aborted connect leaves no pipe, timer or listener, whenever it is aborted", async () => {
  for (const when of ["before", "while dialling", "in the handshake"]) {
    const clock = new ManualClock();
    const { controller, signal, listeners } = countedSignal();
    const [ours, theirs] = memoryPipe();
    let dials = 0;
    const dialled = Promise.withResolvers<typeof ours>();
    if (when === "before") controller.abort(new Error("not wanted"));
    const connecting = connectSession({
      dial: () => {
        dials++;
        return dialled.promise;
      },
      local: { secret: pattern(32), graceMs: 1000, version: "1.0.0" },
      clock,
      log: silentLogger,
      connectMs: 10_000,
      mayReconnect: true,
      signal,
    });
    const failed = assertRejects(() => connecting, SessionError, "not wanted");
    await settle();
    if (when === "in the handshake") {
      dialled.resolve(ours);
      await theirs.read(new Uint8Array(16));
    }
    controller.abort(new Error("not wanted"));
    await failed;
    // A dial that comes through after all is closed as well.
    dialled.resolve(ours);
    await settle();
    assertEquals([dials, ours.closed], when === "before" ? [0, false] : [1, true], when);
    assertEquals([clock.armed, listeners()], [0, 0], when);
  }
});

Deno.test("a session that ends while it reconnects leaves no timer", async () => {
  const clock = new ManualClock();
  const network = memoryNetwork((n) => n > 0 ? { by: "connecting", after: 0 } : undefined);
  const end = listeningEnd(60_000);
  let first = true;
  const session = await connectSession({
    dial: () => first ? end.network.dial() : network.dial(),
    local: { secret: new TextEncoder().encode("sixteen bytes ok"), graceMs: 60_000, version: "1" },
    clock,
    log: silentLogger,
    connectMs: 10_000,
    mayReconnect: true,
  });
  first = false;
  await session.first.detach(new Error("cut by the test"));
  await clock.advance(3000);
  assertEquals(session.state, "down");
  session.abort("not wanted any more", "stopped");
  await clock.advance(0);
  assertEquals(clock.armed, 0);
  await Promise.all(end.sessions.map((s) => s.abort("test over", "stopped")));
  await end.server.close();
});
