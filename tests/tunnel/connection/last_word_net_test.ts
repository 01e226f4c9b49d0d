import { assertEquals } from "@std/assert";
import { type BytePipe, silentLogger, systemClock, writeAll } from "../../../src/io/mod.ts";
import { openSession } from "../../../src/tunnel/connection/handshake.ts";
import { connectTcp, listenTcp } from "../../../src/transport/mod.ts";
import { Session, SessionServer } from "../../../src/tunnel/mod.ts";
import * as wire from "../../../src/tunnel/wire/layout.ts";
import { frame, listen, LOCAL } from "../raw_peer.ts";

/** A listening end on loopback, and a peer that has proved itself there and says what it likes. */
async function intruderOverTcp(wrap: (pipe: BytePipe) => BytePipe = (pipe) => pipe) {
  const acceptor = listenTcp("127.0.0.1", 0);
  const accept = async () => {
    const pipe = await acceptor.accept();
    return pipe && wrap(pipe);
  };
  const accepted = Promise.withResolvers<Session>();
  const server = new SessionServer({ ...acceptor, accept }, {
    local: LOCAL,
    clock: systemClock,
    log: silentLogger,
    onSession: accepted.resolve,
  });
  const pipe = await connectTcp("127.0.0.1", Number(/\d+$/.exec(acceptor.address)![0]));
  await openSession(pipe, LOCAL);
  return { server, pipe, session: await accepted.promise };
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
  const { server, pipe, session } = await intruderOverTcp();
  session.abort("that is enough", "stopped");
  const start = performance.now();
  await session.close();
  const took = performance.now() - start;
  assertEquals(took > 900 && took < 3000, true, `${took} ms`);
  pipe.close();
  await server.close();
});

Deno.test("a read that does not end with its connection delays close for 2 s at most", async () => {
  const { server, pipe, session } = await intruderOverTcp((pipe) => ({
    read: (into) =>
      new Promise((resolve, reject) => {
        pipe.read(into).then(resolve, (e) => session.state === "ended" ? undefined : reject(e));
      }),
    write: (from) => pipe.write(from),
    closeWrite: () => pipe.closeWrite(),
    close: () => pipe.close(),
  }));
  session.abort("that is enough", "stopped");
  const start = performance.now();
  await session.close();
  const took = performance.now() - start;
  assertEquals(took > 1900 && took < 4000, true, `${took} ms`);
  pipe.close();
  await server.close();
});
