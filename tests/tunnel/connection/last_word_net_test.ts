import { assertEquals } from "@std/assert";
import {
  type BytePipe,
  type Clock,
  silentLogger,
  systemClock,
  writeAll,
} from "../../../src/io/mod.ts";
import { openSession } from "../../../src/tunnel/connection/handshake.ts";
import { connectTcp, listenTcp } from "../../../src/transport/mod.ts";
import { Session, SessionServer } from "../../../src/tunnel/mod.ts";
import { LAST_WORD_MS } from "../../../src/tunnel/limits.ts";
import * as wire from "../../../src/tunnel/wire/layout.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { frame, listen, LOCAL } from "../raw_peer.ts";

/** A listening end on loopback, and a peer that has proved itself there and says what it likes. */
async function intruderOverTcp(
  { wrap = (pipe: BytePipe) => pipe, clock = systemClock as Clock } = {},
) {
  const acceptor = listenTcp("127.0.0.1", 0);
  const accept = async () => {
    const pipe = await acceptor.accept();
    return pipe && wrap(pipe);
  };
  const accepted = Promise.withResolvers<Session>();
  const server = new SessionServer({ ...acceptor, accept }, {
    local: LOCAL,
    clock,
    log: silentLogger,
    onSession: accepted.resolve,
  });
  const pipe = await connectTcp("127.0.0.1", Number(/\d+$/.exec(acceptor.address)![0]));
  await openSession(pipe, LOCAL);
  return { server, pipe, session: await accepted.promise };
}

/** Reads up to the last word of the listening end, which has armed its timers by then. */
async function goodbye(pipe: BytePipe): Promise<void> {
  const into = new Uint8Array(4096);
  while (await pipe.read(into) !== null);
}

Deno.test("a peer that keeps sending over TCP receives the reason for the end", async () => {
  for (let i = 0; i < 5; i++) {
    const { server, pipe, session } = await intruderOverTcp();
    // A fault, and behind it more than the other end reads at a time.
    await writeAll(pipe, frame(99, 0));
    await writeAll(pipe, new Uint8Array(4 << 20));
    const heard = await listen(pipe);
    assertEquals(
      heard.filter((h) => h.type === wire.GOAWAY).map((h) => h.text),
      ["Got a frame of unknown type 99"],
    );
    pipe.close();
    await session.close();
    await server.close();
  }
});

Deno.test("a peer that does not hang up after the reason is closed after a second", async () => {
  const clock = new ManualClock();
  const { server, pipe, session } = await intruderOverTcp({ clock });
  session.abort("that is enough", "stopped");
  let isClosed = false;
  const closed = session.close().then(() => isClosed = true);
  await goodbye(pipe);
  await clock.advance(LAST_WORD_MS - 1);
  assertEquals(isClosed, false, "1 ms before");
  await clock.advance(1);
  await closed;
  pipe.close();
  await server.close();
});

Deno.test("a read that does not end with its connection delays close for 2 s at most", async () => {
  const clock = new ManualClock();
  const wrap = (pipe: BytePipe): BytePipe => ({
    read: (into) =>
      new Promise((resolve, reject) => {
        pipe.read(into).then(resolve, (e) => session.state === "ended" ? undefined : reject(e));
      }),
    write: (from) => pipe.write(from),
    closeWrite: () => pipe.closeWrite(),
    close: () => pipe.close(),
  });
  const { server, pipe, session } = await intruderOverTcp({ wrap, clock });
  session.abort("that is enough", "stopped");
  let isClosed = false;
  const closed = session.close().then(() => isClosed = true);
  await goodbye(pipe);
  await clock.advance(2 * LAST_WORD_MS - 1);
  assertEquals(isClosed, false, "1 ms before");
  await clock.advance(1);
  await closed;
  pipe.close();
  await server.close();
});
