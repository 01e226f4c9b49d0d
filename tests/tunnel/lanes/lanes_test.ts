import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock, writeAll } from "../../../src/io/mod.ts";
import { type Session, SessionError, type TunnelStream } from "../../../src/tunnel/mod.ts";
import { pattern, randomOf, readAll } from "../../support/bytes.ts";
import { type Cut, hurriedClock } from "../../support/cutting.ts";
import { HeldPipe } from "../../support/held_pipe.ts";
import { settle } from "../../support/manual_clock.ts";
import { type World, world } from "../resume_world.ts";

const LANES = 4;

/** A world whose lanes are open. */
async function lanes(...[cutOf, options]: Parameters<typeof world>): Promise<World> {
  const made = await world(cutOf, { lanes: LANES, ...options });
  await made.connecting.openLanes();
  return made;
}

/** Opens a stream at both ends. */
function both(from: Session, to: Session): [TunnelStream, TunnelStream] {
  const stream = from.open();
  return [stream, to.accept(stream.id, stream.lane)];
}

/** Waits until it is so; the runner's limit is the deadline. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function ended({ connecting, listening, server }: World): Promise<unknown[]> {
  const ends = await Promise.all([connecting.close(600_000), listening.ended]);
  await server.close();
  return ends;
}

Deno.test("streams are spread over the lanes, the last one goes to the lane of the RPC", async () => {
  const made = await lanes();
  const { connecting, listening } = made;
  assertEquals([connecting.lanes.length, listening.lanes.length], [LANES, LANES]);
  const pairs = Array.from({ length: 2 * LANES }, () => both(connecting, listening));
  assertEquals(pairs.map(([stream]) => stream.lane), [3, 2, 1, 0, 3, 2, 1, 0]);
  assertEquals(connecting.open("first").lane, 0);
  listening.accept(connecting.first.openStreams * 2 - 1, 0);
  assertEquals([connecting.openStreams, listening.openStreams], [9, 9]);
  const before = connecting.bytes;
  await Promise.all(pairs.flatMap(([a, b], i) => [
    writeAll(a, pattern(5000, i)).then(() => a.closeWrite()),
    b.closeWrite(),
    readAll(b).then((got) => assertEquals(got, pattern(5000, i))),
    readAll(a),
  ]));
  assert(connecting.bytes - before >= 8 * 5000, "the bytes of all lanes count");
  listening.abort("test over", "stopped");
  assertEquals((await connecting.ended)?.peerReason, "test over");
  await made.server.close();
});

Deno.test("lanes that are cut anywhere are resumed, and deliver the same streams", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const random = randomOf(seed);
    const cutOf = (n: number): Cut | undefined =>
      n === 0 || n > 40 ? undefined : {
        by: random() < 0.5 ? "connecting" : "listening",
        after: 100 + Math.floor(random() * (seed % 3 === 0 ? 300 : 20_000)),
      };
    const made = await lanes(cutOf);
    const { connecting, listening } = made;
    const pairs = Array.from({ length: LANES + 2 }, () => both(connecting, listening));
    await Promise.all(pairs.flatMap(([a, b], i) => [
      writeAll(a, pattern(30_000, i)).then(() => a.closeWrite()),
      writeAll(b, pattern(10_000, i + 9)).then(() => b.closeWrite()),
      readAll(b).then((got) => assertEquals(got, pattern(30_000, i), `seed ${seed}`)),
      readAll(a).then((got) => assertEquals(got, pattern(10_000, i + 9), `seed ${seed}`)),
    ]));
    assertEquals(await ended(made), [undefined, undefined], `seed ${seed}`);
  }
});

Deno.test("a lane whose answer was lost joins at the next try", async () => {
  // The answer is the listening end's preface, HELLO and AUTH.
  for (let after = 0; after <= 170; after += 10) {
    const made = await lanes((n) => n === 2 ? { by: "listening", after } : undefined);
    const { connecting, listening } = made;
    assertEquals([connecting.lanes.length, listening.lanes.length], [LANES, LANES]);
    for (let i = 0; i < LANES; i++) {
      const [a, b] = both(connecting, listening);
      await writeAll(a, pattern(100, i));
      await Promise.all([a.closeWrite(), b.closeWrite()]);
      assertEquals(await readAll(b), pattern(100, i));
      await readAll(a);
    }
    assertEquals(await ended(made), [undefined, undefined], String(after));
  }
});

Deno.test("a lane that is lost for good ends the session at both ends, as lost", async () => {
  const pipes: HeldPipe[] = [];
  let down = false;
  const made = await lanes(undefined, {
    graceMs: 5000,
    dialled: (n, pipe) => {
      if (down) throw new Error("no way");
      return pipes[n] = new HeldPipe(pipe);
    },
  });
  const { connecting, listening } = made;
  const links: string[] = [];
  connecting.onLink(({ state }) => links.push(state));
  const pairs = Array.from({ length: LANES }, () => both(connecting, listening));
  down = true;
  pipes[2]!.cut();
  await settle();
  assertEquals([connecting.state, connecting.first.state], ["down", "up"]);
  const [here, there] = await Promise.all([connecting.ended, listening.ended]);
  assertEquals([here?.code, there?.code], ["lost", "lost"]);
  const firsts = [here, there].filter((cause) => cause?.isPartial);
  assert(firsts.length > 0, "the end whose time was over first knows that it was one connection");
  for (const first of firsts) assert(/\(connection 3 of 4\)$/.test(first!.message), first!.message);
  for (const [a, b] of pairs) assert(a.failure && b.failure, `stream of lane ${a.lane}`);
  for (const session of [connecting, listening]) {
    assertEquals(session.lanes.map((lane) => lane.state), Array(LANES).fill("ended"));
  }
  assertEquals(links, ["down"]);
  await made.server.close();
});

Deno.test("lanes are resumed while the others carry on; each loss is reported, and when all are back", async () => {
  const pipes: HeldPipe[] = [];
  let away = false;
  const made = await lanes(undefined, {
    dialled: (n, pipe) => pipes[n] = new HeldPipe(pipe, away),
  });
  const { connecting, listening } = made;
  const links: string[] = [];
  connecting.onLink(({ state }) => links.push(state));
  away = true;
  pipes[1]!.cut();
  pipes[3]!.cut();
  await until(() => connecting.state === "down");
  const [a, b] = both(connecting, listening);
  assert(a.lane === 2 || a.lane === 0, "a new stream goes to a lane that has a connection");
  await writeAll(a, pattern(999, 1));
  await Promise.all([a.closeWrite(), b.closeWrite()]);
  assertEquals(await readAll(b), pattern(999, 1));
  await readAll(a);
  away = false;
  for (const pipe of pipes) pipe.release();
  await until(() => connecting.state === "up");
  assertEquals(links, ["down", "down", "up"]);
  assertEquals(await ended(made), [undefined, undefined]);
});

Deno.test("a session ends cleanly only after the bytes in every lane have arrived", async () => {
  const pipes: HeldPipe[] = [];
  const made = await lanes(undefined, { dialled: (n, pipe) => pipes[n] = new HeldPipe(pipe) });
  const { connecting, listening } = made;
  const [a, b] = both(connecting, listening);
  assertEquals(a.lane, 3);
  const held = pipes.filter((_, n) => n > 0);
  for (const pipe of held) pipe.hold();
  await writeAll(a, pattern(40_000, 5));
  await Promise.all([a.closeWrite(), b.closeWrite()]);
  let over = false;
  const closing = connecting.close(600_000).then((cause) => {
    over = true;
    return cause;
  });
  for (let i = 0; i < 20; i++) await settle();
  assertEquals([over, listening.state], [false, "up"]);
  for (const pipe of held) pipe.release();
  assertEquals(await readAll(b), pattern(40_000, 5));
  assertEquals(await Promise.all([closing, listening.ended]), [undefined, undefined]);
  await made.server.close();
});

Deno.test("a stream that was reset delivers nothing once resetsDelivered has resolved", async () => {
  const pipes: HeldPipe[] = [];
  const made = await lanes(undefined, { dialled: (n, pipe) => pipes[n] = new HeldPipe(pipe) });
  const { connecting, listening } = made;
  const [old, there] = both(connecting, listening);
  const held = pipes.filter((_, n) => n > 0);
  for (const pipe of held) pipe.hold();
  await writeAll(old, pattern(20_000, 3));
  await settle();
  old.reset("cancelled", "cut off");
  let delivered = false;
  const waiting = connecting.resetsDelivered().then(() => delivered = true);
  for (let i = 0; i < 20; i++) await settle();
  assertEquals([delivered, there.failure], [false, undefined]);
  for (const pipe of held) pipe.release();
  await waiting;
  assert(there.failure !== undefined);
  assertEquals(await ended(made), [undefined, undefined]);
});

Deno.test("waiting for resets ends with the session", async () => {
  const pipes: HeldPipe[] = [];
  const made = await lanes(undefined, { dialled: (n, pipe) => pipes[n] = new HeldPipe(pipe) });
  const { connecting, listening, server } = made;
  const [old] = both(connecting, listening);
  for (const pipe of pipes) pipe.hold();
  old.reset("cancelled", "cut off");
  const waiting = assertRejects(() => connecting.resetsDelivered(), SessionError, "test over");
  connecting.abort("test over", "stopped");
  await waiting;
  for (const pipe of pipes) pipe.release();
  await listening.ended;
  await server.close();
});

Deno.test("an end that allows fewer lanes refuses, and its session goes on with one", async () => {
  const made = await world(undefined, { lanes: 1 });
  await ended(made);
  const old = await world(undefined, { wantedLanes: LANES });
  await assertRejects(() => old.connecting.openLanes(), SessionError, "takes one connection only");
  const [a, b] = both(old.connecting, old.listening);
  assertEquals(a.lane, 0);
  await Promise.all([a.closeWrite(), b.closeWrite(), readAll(a), readAll(b)]);
  assertEquals(await ended(old), [undefined, undefined]);
});

Deno.test("a lane that gets no connection is an error that names it, after the time to connect", async () => {
  const made = await world(undefined, {
    lanes: LANES,
    connectMs: 2000,
    clock: hurriedClock,
    dialled: (n, pipe) => {
      if (n === 0) return pipe;
      throw new Error("a firewall");
    },
  });
  const tries = () => made.connecting.openLanes();
  const error = await assertRejects(tries, SessionError, "a firewall");
  assertEquals(error.code, "unreachable");
  assert(/^Connection [234] of 4 could not be opened/.test(error.message), error.message);
  assertEquals(await ended(made), [undefined, undefined]);
});

Deno.test("a lane that is refused ends the tries of the others, and nothing is dialled after that", async () => {
  let dials = 0;
  const made = await world(undefined, {
    ...{ lanes: LANES, connectMs: 60_000, clock: hurriedClock },
    dialled: (n, pipe) => {
      if (n === 0) return pipe;
      dials++;
      if (n === 2) throw new SessionError("refused", "not here");
      throw new Error("a firewall");
    },
  });
  await assertRejects(() => made.connecting.openLanes(), SessionError, "not here");
  const before = dials;
  assert(before <= 2 * LANES, `${before} dials`);
  await settle();
  assertEquals(await ended(made), [undefined, undefined]);
  assertEquals(dials, before);
});

Deno.test("a limit of the bandwidth holds over all lanes, and each gets its share", async () => {
  const made = await lanes(undefined, { clock: systemClock, capacity: 1 << 20 });
  const { connecting, listening } = made;
  const RATE = 8 << 20;
  connecting.setBandwidth(RATE);
  const received = Array<number>(LANES).fill(0);
  const over = new AbortController();
  const began = performance.now();
  const flows = Array.from({ length: LANES }, async () => {
    const [a, b] = both(connecting, listening);
    const send = async () => {
      while (!over.signal.aborted) await a.write(new Uint8Array(65536));
    };
    const take = async () => {
      const room = new Uint8Array(65536);
      for (let n; (n = await b.read(room)) !== null;) received[a.lane]! += n;
    };
    await Promise.allSettled([send(), take()]);
  });
  const total = () => received.reduce((sum, n) => sum + n, 0);
  while (total() < RATE) await new Promise((resolve) => setTimeout(resolve, 20));
  const seconds = (performance.now() - began) / 1000;
  over.abort();
  listening.abort("test over", "stopped");
  await Promise.all([...flows, connecting.ended]);
  await made.server.close();
  // Windows and the allowance for late timers are the rest.
  assert(total() / seconds < 1.35 * RATE, `${total() / seconds} bytes/s`);
  for (const bytes of received) assert(bytes > total() / LANES / 3, received.join());
});
