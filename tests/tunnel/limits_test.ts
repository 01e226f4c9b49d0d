import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type BytePipe, writeAll } from "../../src/io/mod.ts";
import { openSession } from "../../src/tunnel/connection/handshake.ts";
import { limits, SessionError } from "../../src/tunnel/mod.ts";
import * as wire from "../../src/tunnel/wire/layout.ts";
import { settle } from "../support/manual_clock.ts";
import { memoryPipe } from "../support/memory_pipe.ts";
import { frame, listen, listeningEnd, LOCAL, shout, u64 } from "./raw_peer.ts";
import { sessionPair } from "./session_pair.ts";

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("an end opens as many streams as the other end allows, and no more", async () => {
  const { connecting, listening } = await sessionPair();
  const streams = Array.from({ length: limits.MAX_STREAMS }, () => connecting.open());
  assertThrows(() => connecting.open(), RangeError, "256 streams are open");
  // The other end's streams are counted apart; a stream that is over makes room.
  listening.open();
  streams[7]!.reset("cancelled", "not wanted");
  connecting.open();
  assertThrows(() => connecting.open(), RangeError, "256 streams are open");
  connecting.abort("test over", "stopped");
  await listening.ended;
});

Deno.test("a handshake beyond the limit closes the oldest one, so silent connections keep nobody out", async () => {
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

Deno.test("a session beyond the limit is refused with busy, and an ended session makes room", async () => {
  const { server, network, intruder } = listeningEnd();
  const open = [];
  for (let i = 0; i < limits.MAX_SESSIONS; i++) open.push((await intruder()).session);
  const oneMore = async () => await openSession(await network.dial(), LOCAL);
  const error = await assertRejects(oneMore, SessionError, "The limit of 64 open sessions");
  assertEquals(error.refusal, "busy");
  open[5]!.abort("test over", "stopped");
  await turn();
  await oneMore();
  for (const session of open) session.abort("test over", "stopped");
  await server.close();
});

Deno.test("the bytes in flight stay below their cap until acknowledgements come", async () => {
  const cap = 200_000;
  const { server, intruder } = listeningEnd(0, 10_000, cap);
  const { pipe, session } = await intruder();
  const stream = session.accept(1);
  await shout(pipe, frame(wire.CREDIT, 1, u64(10_000_000)));
  const total = 1_000_000;
  const writing = writeAll(stream, new Uint8Array(total)).then(() => stream.closeWrite());
  let acked = 0;
  for (let rounds = 0; acked < total; rounds++) {
    // A number that stays the same for so many turns waits for an acknowledgement.
    for (let [same, before] = [0, -1]; same < 10; await turn()) {
      same = session.inFlight === before ? same + 1 : 0;
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

Deno.test("a peer that reads and never acknowledges is cut off at a bound", async () => {
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
    assert(id < 10_000, "no bound was reached");
  }
  const frameLength = wire.HEADER_LENGTH + 10 + limits.MAX_REASON;
  assert(most > bound - frameLength && most <= bound + frameLength, `${most} bytes`);
  assertEquals((await session.ended)?.code, "protocol-error");
  await server.close();
});

Deno.test("small frames are gathered into one write up to a bound, large ones go alone", async () => {
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
  // Each is small enough to be gathered; together they fill many writes.
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
