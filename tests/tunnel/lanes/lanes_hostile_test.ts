import type { Clock } from "../../../src/io/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { joinSession } from "../../../src/tunnel/connection/join.ts";
import { openSession } from "../../../src/tunnel/connection/handshake.ts";
import { limits, ProtocolError, type Session, SessionError } from "../../../src/tunnel/mod.ts";
import * as wire from "../../../src/tunnel/wire/layout.ts";
import { pattern } from "../../support/bytes.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import { frame, listen, listeningEnd, LOCAL, MOST_LANES, shout } from "../raw_peer.ts";

const HANDSHAKE_MS = 10_000;
const local = { ...LOCAL, graceMs: 60_000 };

/** A session of several lanes with a raw peer, and a function that joins one. */
async function joinable(lanes = MOST_LANES, clock?: Clock) {
  const end = listeningEnd(local.graceMs, HANDSHAKE_MS, undefined, undefined, clock);
  const { session, identity } = await end.intruder([], lanes);
  const join = async (lane: number, as = identity) => {
    const pipe = await end.network.dial();
    try {
      return { pipe, ...await joinSession(pipe, local, as, lane) };
    } catch (error) {
      pipe.close();
      throw error;
    }
  };
  const refused = async (lane: number, message: string, as = identity) => {
    const error = await assertRejects(() => join(lane, as), SessionError, message);
    assertEquals([error.code, session.state], ["refused", "up"]);
    return error.refusal;
  };
  const over = async (of: readonly Session[] = [session]) => {
    for (const one of of) one.abort("test over", "stopped");
    await end.server.close();
  };
  return { ...end, session, identity, join, refused, over };
}

Deno.test("a lane of an unknown session, or with a wrong key, is refused and ends nothing", async () => {
  const { session, identity, refused, intruder, over } = await joinable();
  const other = await intruder([], MOST_LANES);
  const unknown = { id: new Uint8Array(16).fill(7), key: identity.key };
  assertEquals(await refused(1, "does not know the session", unknown), "unknown-session");
  const wrongKey = { id: identity.id, key: other.identity.key };
  assertEquals(await refused(1, "not the one of this session's lane", wrongKey), "wrong-secret");
  assertEquals([session.lanes.length, other.session.lanes.length], [1, 1]);
  await over([session, other.session]);
});

Deno.test("the key of one lane opens no other lane", async () => {
  const { session, identity, network, over } = await joinable();
  const pipe = await network.dial();
  // The HELLO says lane 2, the credential is that of lane 1.
  const asked = joinSession(
    {
      read: (into) => pipe.read(into),
      write: (from) => {
        const hello = from.slice();
        if (from.length === 124) hello[wire.PREFACE_LENGTH + wire.HEADER_LENGTH + 2] = 2;
        return pipe.write(hello);
      },
      closeWrite: () => pipe.closeWrite(),
      close: () => pipe.close(),
    },
    local,
    identity,
    1,
  );
  const error = await assertRejects(() => asked, SessionError, "not the one of this session's");
  assertEquals([error.refusal, session.lanes.length], ["wrong-secret", 1]);
  pipe.close();
  await over();
});

Deno.test("a lane beyond those agreed on is refused", async () => {
  const { refused, join, session, over } = await joinable();
  assertEquals(await refused(MOST_LANES, `Got lane ${MOST_LANES}, expected 1 to 3`), "not-allowed");
  await refused(255, "Got lane 255");
  for (let lane = 1; lane < MOST_LANES; lane++) (await join(lane)).pipe.close();
  assertEquals(session.lanes.length, MOST_LANES);
  await over();
});

Deno.test("a peer that asks for 255 lanes may have as many as this end allows", async () => {
  const { session, refused, over } = await joinable(255);
  assertEquals(session.mostLanes, MOST_LANES);
  await refused(MOST_LANES, "expected 1 to 3");
  await over();
});

Deno.test("a session that agreed on one lane takes no other", async () => {
  const { refused, over } = await joinable(1);
  assertEquals(await refused(1, "This session has one lane"), "not-allowed");
  await over();
});

Deno.test("a lane in use cannot be joined again; one that carried nothing is replaced", async () => {
  const { session, join, refused, over } = await joinable();
  const first = await join(1);
  const second = await join(1);
  await settle();
  assertEquals([session.lanes.length, session.state], [2, "up"]);
  await listen(first.pipe);
  const stream = session.accept(1, 1);
  await shout(second.pipe, frame(wire.DATA, 1, pattern(10, 1)));
  assertEquals(await stream.read(new Uint8Array(99)), 10);
  assertEquals(await refused(1, "Lane 1 of this session is in use"), "not-allowed");
  assertEquals([session.lanes.length, stream.failure], [2, undefined]);
  await over();
});

Deno.test("a session that has ended takes no lane", async () => {
  const { session, join, server } = await joinable();
  session.abort("test over", "stopped");
  const error = await assertRejects(() => join(1), SessionError, "does not know the session");
  assertEquals(error.refusal, "unknown-session");
  await server.close();
});

Deno.test("a lane that stays silent in its handshake is closed and ends nothing", async () => {
  const clock = new ManualClock();
  const { network, session, over } = await joinable(MOST_LANES, clock);
  const pipe = await network.dial();
  const heard = listen(pipe);
  await clock.advance(HANDSHAKE_MS);
  await heard;
  assertEquals([session.state, session.lanes.length], ["up", 1]);
  await over();
});

Deno.test("a fault on one lane ends the session", async () => {
  const { session, join, server } = await joinable();
  const { pipe } = await join(2);
  await shout(pipe, frame(wire.DATA, 9, pattern(10, 1)));
  const cause = await session.ended;
  assertEquals(cause?.code, "protocol-error");
  assert(session.lanes.every((lane) => lane.state === "ended"));
  await server.close();
});

Deno.test("a stream on a lane that has not joined is a fault", async () => {
  const { session, server } = await joinable();
  let thrown: unknown;
  try {
    session.accept(1, 3);
  } catch (error) {
    thrown = error;
  }
  assert(thrown instanceof ProtocolError);
  assertEquals((await session.ended)?.message, "Got a stream on lane 3, which has not joined");
  await server.close();
});

Deno.test("several lanes carry no more streams than one", async () => {
  const { session, join, over } = await joinable();
  for (let lane = 1; lane < MOST_LANES; lane++) await join(lane);
  const most = limits.MAX_STREAMS;
  for (let i = 0; i < most; i++) session.accept(2 * Math.floor(i / MOST_LANES) + 1, i % MOST_LANES);
  for (let lane = 0; lane < MOST_LANES; lane++) {
    assertThrows(() => session.accept(2 * most + 1, lane), RangeError, `${most} streams are open`);
  }
  for (let i = 0; i < most; i++) session.open();
  assertThrows(() => session.open(), RangeError, `${most} streams are open`);
  assertEquals([session.openStreams, session.state], [2 * most, "up"]);
  await over();
});

Deno.test("an end that wants one connection sends the bytes that it always sent", async () => {
  const random = (length: number) => pattern(length, length);
  const { network, server, sessions } = listeningEnd(0);
  const pipe = await network.dial();
  const sent: Uint8Array[] = [];
  const got: Uint8Array[] = [];
  await openSession(
    {
      read: async (into) => {
        const n = await pipe.read(into);
        if (n !== null) got.push(into.slice(0, n));
        return n;
      },
      write: async (from) => {
        sent.push(from.slice());
        return await pipe.write(from);
      },
      closeWrite: () => pipe.closeWrite(),
      close: () => pipe.close(),
    },
    { ...LOCAL, lanes: 1, randomBytes: random },
  );
  const hello = wire.PREFACE_LENGTH + wire.HEADER_LENGTH;
  // Role, flags, reserved.
  assertEquals([...sent[0]!.subarray(hello, hello + 4)], [1, 1, 0, 0]);
  const answer = new Uint8Array(got.flatMap((bytes) => [...bytes]));
  assertEquals([...answer.subarray(hello, hello + 4)], [2, 1, 0, 0]);
  for (const session of sessions) session.abort("test over", "stopped");
  await server.close();
});
