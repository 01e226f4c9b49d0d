import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type BytePipe, silentLogger, writeAll } from "../../src/io/mod.ts";
import { ReadBufferPool } from "../../src/tunnel/connection/buffers.ts";
import { connectSession } from "../../src/tunnel/connect.ts";
import { openSession } from "../../src/tunnel/connection/handshake.ts";
import {
  encodeHello,
  encodePreface,
  parseHello,
  parsePreface,
} from "../../src/tunnel/wire/hello.ts";
import { limits, SessionError } from "../../src/tunnel/mod.ts";
import { TunnelStream } from "../../src/tunnel/stream/stream.ts";
import * as wire from "../../src/tunnel/wire/layout.ts";
import { pattern } from "../support/bytes.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { memoryPipe } from "../support/memory_pipe.ts";
import { frame, listen, listeningEnd, LOCAL, shout, u64 } from "./raw_peer.ts";
import { sessionPair } from "./session_pair.ts";

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("limit: as many streams as the other end allows, and not one more", async () => {
  const { connecting, listening } = await sessionPair();
  const streams = Array.from({ length: limits.MAX_STREAMS }, () => connecting.open());
  assertThrows(() => connecting.open(), RangeError, "256 streams are open");
  // The other end's own are counted apart; one that is over makes room.
  listening.open();
  streams[7]!.reset("cancelled", "not wanted");
  connecting.open();
  assertThrows(() => connecting.open(), RangeError, "256 streams are open");
  connecting.abort("test over", "stopped");
  await listening.ended;
});

Deno.test("limit: so many handshakes at a time; who says nothing keeps nobody out", async () => {
  const { server, network, intruder } = listeningEnd();
  const dialled = [];
  for (let i = 0; i < limits.MAX_HANDSHAKES; i++) dialled.push(await network.dial());
  const hungUp = dialled.map(() => false);
  dialled.forEach((pipe, i) => listen(pipe).then(() => hungUp[i] = true));
  await settle();
  assertEquals(hungUp.indexOf(true), -1);
  const { session } = await intruder();
  assertEquals(session.state, "up");
  await turn();
  assertEquals([hungUp[0], hungUp.indexOf(true, 1)], [true, -1], "the oldest made room, no other");
  session.abort("test over", "stopped");
  await server.close();
});

Deno.test("limit: so many sessions at a time; one more is told so, and room is made again", async () => {
  const { server, network, intruder } = listeningEnd();
  const open = [];
  for (let i = 0; i < limits.MAX_SESSIONS; i++) open.push((await intruder()).session);
  const oneMore = async () => await openSession(await network.dial(), LOCAL);
  const error = await assertRejects(oneMore, SessionError, "64 sessions are open here");
  assertEquals(error.refusal, "busy");
  open[5]!.abort("test over", "stopped");
  await turn();
  await oneMore();
  for (const session of open) session.abort("test over", "stopped");
  await server.close();
});

Deno.test("limit: a later minor version may use what is reserved in HELLO, and still be understood", () => {
  const hello = encodeHello({
    ...{ role: "connecting" as const, hasSecret: true, version: "1.7.0", graceMs: 1000 },
    ...{ maxData: 65536, maxStreams: 16, firstWindow: 65536, rpcWindow: 65536 },
    ...{ sessionId: new Uint8Array(16), nonce: new Uint8Array(32) },
  }).slice(wire.HEADER_LENGTH);
  const plain = parseHello(hello);
  const later = hello.slice();
  later[1] = later[1]! | 0xfe;
  later.fill(0xff, 2, 4);
  later.fill(0xff, 24, 32);
  assertEquals(parseHello(later), plain);
  const preface = encodePreface();
  const minor = preface.length - 1;
  preface[minor] = preface[minor]! + 7;
  assertEquals(parsePreface(preface), { major: 1, minor: wire.VERSION_MINOR + 7 });
});

Deno.test("limit: no more in flight than was said, and acknowledgements let the rest go", async () => {
  const cap = 200_000;
  const { server, intruder } = listeningEnd(0, 10_000, cap);
  const { pipe, session } = await intruder();
  const stream = session.accept(1);
  await shout(pipe, frame(wire.CREDIT, 1, u64(10_000_000)));
  const total = 1_000_000;
  const writing = writeAll(stream, new Uint8Array(total)).then(() => stream.closeWrite());
  let acked = 0;
  for (let rounds = 0; acked < total; rounds++) {
    // What stands still for so many turns waits for an acknowledgement.
    for (let [still, before] = [0, -1]; still < 10; await turn()) {
      still = session.inFlight === before ? still + 1 : 0;
      before = session.inFlight;
    }
    assert(session.inFlight > 0 && session.inFlight <= cap, `${session.inFlight} in flight`);
    assert(rounds < 100, "acknowledgements let nothing go");
    acked += session.inFlight;
    await shout(pipe, frame(wire.ACK, 0, u64(acked)));
  }
  await writing;
  session.abort("test over", "stopped");
  await server.close();
});

Deno.test("limit: a peer that reads and never acknowledges is borne up to a bound", async () => {
  const cap = 1000;
  const { server, intruder } = listeningEnd(0, 10_000, cap);
  const { session } = await intruder();
  const reason = "x".repeat(limits.MAX_REASON);
  const bound = cap + limits.MAX_UNACKED_CONTROL;
  let most = 0;
  for (let id = 1; session.state === "up"; id += 2) {
    session.accept(id).reset("internal", reason);
    await settle();
    most = Math.max(most, session.inFlight);
    assert(id < 10_000, "it is borne for ever");
  }
  const frameLength = wire.HEADER_LENGTH + 10 + limits.MAX_REASON;
  assert(most > bound - frameLength && most <= bound + frameLength, `${most} bytes`);
  assertEquals((await session.ended)?.code, "protocol-error");
  await server.close();
});

Deno.test("limit: windows grow to their share and no further", async () => {
  const { connecting, listening } = await sessionPair();
  const first = connecting.open();
  assertEquals(connecting.maxWindowFor(first), limits.STREAM_WINDOW);
  for (let i = 1; i < limits.MAX_STREAMS; i++) connecting.open();
  const share = limits.ALL_WINDOWS / limits.MAX_STREAMS;
  assertEquals(connecting.maxWindowFor(first), Math.max(limits.MIN_WINDOW, share));
  assertEquals(connecting.maxWindowFor(connecting.rpc), limits.RPC_WINDOW);
  connecting.abort("test over", "stopped");
  await listening.ended;
});

Deno.test("limit: what is allowed on all streams together is bounded, whoever came first", async () => {
  const { connecting, listening } = await sessionPair();
  const streams = [];
  for (let i = 0; i < limits.MAX_STREAMS; i++) {
    const stream = connecting.open();
    streams.push(stream);
    // Far more often than a stream needs to get the largest window there is.
    for (let grants = 0; grants < 20; grants++) stream.grantCredit();
  }
  assertEquals(streams[0]!.creditOut, limits.STREAM_WINDOW);
  assertEquals(streams.at(-1)!.creditOut, limits.MIN_WINDOW);
  const all = streams.reduce((sum, stream) => sum + stream.creditOut, 0);
  assert(all >= limits.ALL_WINDOWS, `${all} bytes`);
  assert(all <= limits.ALL_WINDOWS + limits.MAX_STREAMS * limits.MIN_WINDOW, `${all} bytes`);
  connecting.abort("test over", "stopped");
  await listening.ended;
});

/** A stream on a link of that round trip; what it would grant as soon as it is read, bytes. */
function firstGrant(rttMs: number, most = limits.STREAM_WINDOW): number {
  let owed = 0;
  const stream = new TunnelStream(
    1,
    { rttMs, maxWindowFor: () => most, now: () => 0, mayPin: true, streamDone() {} },
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

Deno.test("limit: the longer the round trip, the larger the first window, to a bound and its share", () => {
  const MiB = 2 ** 20;
  assertEquals(firstGrant(0.1), limits.FIRST_WINDOW);
  assertEquals(firstGrant(1), limits.FIRST_WINDOW);
  assertEquals(firstGrant(16), MiB);
  assertEquals(firstGrant(50), 3.125 * MiB);
  assertEquals(firstGrant(300), 4 * MiB);
  assertEquals(firstGrant(300, MiB / 2), MiB / 2);
});

Deno.test("limit: slow streams pin so many read buffers, and one more is copied out of", () => {
  const pool = new ReadBufferPool();
  const pinned = Array.from({ length: limits.MAX_PINNED_READ_BUFFERS }, () => pool.take());
  assertEquals(pool.mayPin, true);
  const over = pool.take();
  assertEquals(pool.mayPin, false);
  over.release();
  assertEquals(pool.mayPin, true);
  for (const buffer of pinned) buffer.release();
});

Deno.test("limit: a HELLO is taken with each number at its bound", () => {
  const hello = {
    role: "connecting" as const,
    hasSecret: true,
    maxData: limits.MIN_MAX_DATA,
    maxStreams: 1,
    firstWindow: limits.FIRST_WINDOW,
    rpcWindow: limits.RPC_WINDOW,
    graceMs: limits.MAX_GRACE_MS,
    sessionId: new Uint8Array(wire.SESSION_ID_LENGTH),
    nonce: new Uint8Array(wire.NONCE_LENGTH),
    version: "1.0.0",
  };
  const parsed = parseHello(encodeHello(hello).subarray(wire.HEADER_LENGTH));
  assertEquals([parsed.maxData, parsed.maxStreams, parsed.graceMs], [4096, 1, 86_400_000]);
});

Deno.test("limit: a clean end that does not come is given up at its deadline", async () => {
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

Deno.test("limit: an end that is done lingers for so long for one that may not have heard of it", async () => {
  const clock = new ManualClock();
  const [near, far] = memoryPipe();
  let closing = false;
  let said = false;
  const deaf: BytePipe = {
    read: (into) => near.read(into),
    async write(from) {
      // The farewell is the last that gets through: what acknowledges the other end's does not.
      if (said) return from.length;
      said = closing;
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

Deno.test("limit: small frames are gathered into one write up to a bound, large ones go alone", async () => {
  const [near, far] = memoryPipe({ capacity: 1 << 20 });
  const writes: number[] = [];
  const hold = Promise.withResolvers<void>();
  let busy = false;
  const watched: BytePipe = {
    read: (into) => near.read(into),
    async write(from) {
      if (busy) await hold.promise;
      writes.push(from.length);
      return await near.write(from);
    },
    closeWrite: () => near.closeWrite(),
    close: () => near.close(),
  };
  const { connecting, listening } = await sessionPair({ pipes: [watched, far] });
  const streams = Array.from({ length: 100 }, () => {
    const stream = connecting.open();
    listening.accept(stream.id);
    return stream;
  });
  await settle();
  busy = true;
  const first = streams[0]!.write(new Uint8Array(1));
  await settle();
  writes.length = 0;
  // Each of a size that is gathered, many times more than one write holds.
  await Promise.all(streams.map((s) => s.write(new Uint8Array(limits.GATHER_FRAME - 12))));
  await streams[1]!.write(new Uint8Array(limits.GATHER_FRAME));
  hold.resolve();
  await first;
  await settle();
  assert(Math.max(...writes) <= limits.GATHER_BUFFER, `${writes}`);
  assert(writes.filter((n) => n > 2 * limits.GATHER_FRAME).length >= 5, `${writes}`);
  assert(writes.includes(limits.GATHER_FRAME + wire.HEADER_LENGTH), `${writes}`);
  connecting.abort("test over", "stopped");
  await listening.ended;
});

Deno.test("limit: tries to reconnect start at 0.1 s, double up to 5 s, and end with the grace", async () => {
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
  await session.detach(new Error("cut by the test"));
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

Deno.test("limit: a stream that was ended for sending takes nothing more", async () => {
  const { connecting, listening } = await sessionPair();
  const a = connecting.open();
  listening.accept(a.id);
  await writeAll(a, pattern(10));
  await a.closeWrite();
  await assertRejects(() => a.write(pattern(1)), TypeError, "was ended for sending");
  connecting.abort("test over", "stopped");
  await listening.ended;
});
