/**
 * Lanes whose other end may not have got the answer to its handshake.
 *
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import { type BytePipe, silentLogger, systemClock, writeAll } from "../../../src/io/mod.ts";
import { openSession } from "../../../src/tunnel/connection/handshake.ts";
import { joinSession } from "../../../src/tunnel/connection/join.ts";
import { type Session, SessionError, SessionServer } from "../../../src/tunnel/mod.ts";
import { codeFrame } from "../../../src/tunnel/wire/frame.ts";
import * as wire from "../../../src/tunnel/wire/layout.ts";
import { pattern, randomOf, readAll } from "../../support/bytes.ts";
import { memoryNetwork } from "../../support/cutting.ts";
import { HeldPipe } from "../../support/held_pipe.ts";
import { settle } from "../../support/manual_clock.ts";
import { frame, type Heard, listen, listeningEnd, LOCAL, shout, u64 } from "../raw_peer.ts";
import { world } from "../resume_world.ts";

const PING = frame(wire.PING, 0, u64(0));

/** A session of several lanes with a raw peer, and a function that joins lane 1. */
async function joinable(graceMs = 60_000) {
  const end = listeningEnd(graceMs);
  const heard: Heard[] = [];
  const { session, identity, pipe } = await end.intruder(heard, 4);
  const join = async () => {
    const lane = await end.network.dial();
    await joinSession(lane, { ...LOCAL, graceMs }, identity, 1);
    return lane;
  };
  return { ...end, session, pipe, heard, join };
}

/** Waits until it is so; the runner's limit is the deadline. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("an earlier try that arrives late does not replace a lane that its other end has", async () => {
  const { session, join, server } = await joinable();
  await shout(await join(), PING);
  await until(() => session.lane(1)!.isJoined);
  const error = await assertRejects(join, SessionError, "Lane 1 of this session is in use");
  assertEquals([error.refusal, session.lanes.length], ["not-allowed", 2]);
  session.abort("test over", "stopped");
  await server.close();
});

Deno.test("a lane that its other end does not come back for is given up, its session is not", async () => {
  const { session, join, server } = await joinable(50);
  const links: string[] = [];
  session.onLink(({ state }) => links.push(state));
  (await join()).close();
  await until(() => session.lanes.length === 1);
  assertEquals([session.state, links], ["up", ["down", "up"]]);
  await join();
  assertEquals(session.lanes.length, 2);
  session.abort("test over", "stopped");
  await server.close();
});

Deno.test("a session ends cleanly beside a lane that its other end may not know", async () => {
  const { session, join, pipe, heard, server } = await joinable();
  await join();
  const closing = session.close(5000);
  await until(() => heard.some(({ type }) => type === wire.GOAWAY));
  const goaway = codeFrame(wire.GOAWAY, wire.GOAWAY_CODES.done, "");
  await shout(pipe, goaway, frame(wire.ACK, 0, u64(goaway.length)));
  assertEquals(await closing, undefined);
  await server.close();
});

Deno.test("the listening end opens no stream on a lane that the other end may not know", async () => {
  const { session, join, server } = await joinable();
  const lane = await join();
  assertEquals(session.open().lane, 0);
  await shout(lane, PING);
  await until(() => session.lane(1)!.isJoined);
  assertEquals(session.open().lane, 1);
  session.abort("test over", "stopped");
  await server.close();
});

Deno.test("a later try has the lane, although the answer to the earlier one is written first", async () => {
  const network = memoryNetwork();
  const accepted: HeldPipe[] = [];
  const opened = Promise.withResolvers<Session>();
  const server = new SessionServer({
    ...network.acceptor,
    async accept() {
      const pipe = await network.acceptor.accept();
      if (pipe) accepted.push(new HeldPipe(pipe));
      return pipe && accepted.at(-1)!;
    },
  }, {
    local: { ...LOCAL, graceMs: 60_000, lanes: 2 },
    clock: systemClock,
    log: silentLogger,
    onSession: opened.resolve,
  });
  const local = { ...LOCAL, graceMs: 60_000, lanes: 2 };
  const main = await network.dial();
  const { identity } = await openSession(main, local);
  const session = await opened.promise;
  /** A try to join whose answer is held. */
  const join = async (n: number) => {
    const before = session.lane(1);
    const pipe = await network.dial();
    let writes = 0;
    const holding: BytePipe = {
      read: (into) => pipe.read(into),
      write(from) {
        if (++writes === 2) accepted[n]!.hold();
        return pipe.write(from);
      },
      closeWrite: () => pipe.closeWrite(),
      close: () => pipe.close(),
    };
    const joined = joinSession(holding, local, identity, 1);
    joined.catch(() => {});
    await until(() => session.lane(1) !== before);
    return { pipe, joined };
  };
  const early = await join(1);
  const late = await join(2);
  accepted[1]!.release();
  await early.joined;
  await listen(early.pipe);
  accepted[2]!.release();
  await late.joined;
  const stream = session.accept(1, 1);
  await shout(late.pipe, frame(wire.DATA, 1, pattern(10, 1)));
  assertEquals(await stream.read(new Uint8Array(99)), 10);
  session.abort("test over", "stopped");
  for (const pipe of [main, late.pipe]) pipe.close();
  await server.close();
});

Deno.test("a session that is closed while its lanes are opened and lost ends cleanly", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const random = randomOf(seed);
    const cuts = Math.floor(random() * 12);
    const made = await world((n) =>
      n === 0 || n > cuts ? undefined : {
        by: random() < 0.5 ? "connecting" : "listening",
        after: Math.floor(random() * 400),
      }, { lanes: 4 });
    const { connecting, listening, server } = made;
    const opening = connecting.openLanes().catch((error) => error);
    for (let i = Math.floor(random() * 8); i > 0; i--) await settle();
    if (seed % 3 === 2) await opening;
    const work = [];
    for (let i = 0; i < 3; i++) {
      const near = connecting.open();
      await settle();
      const far = listening.accept(near.id, near.lane);
      work.push(writeAll(near, pattern(3000, i)).then(() => near.closeWrite()));
      work.push(far.closeWrite(), readAll(near));
      work.push(readAll(far).then((got) => assertEquals(got, pattern(3000, i), `seed ${seed}`)));
    }
    const who = seed % 5;
    const ends = await Promise.all([
      who < 3 ? connecting.close(300_000) : connecting.ended,
      who > 1 ? listening.close(300_000) : listening.ended,
    ]);
    await Promise.all(work);
    assertEquals(ends, [undefined, undefined], `seed ${seed}`);
    await opening;
    await server.close();
  }
});
