import { assertMatch } from "@std/assert";
import { systemClock } from "../../../src/io/mod.ts";
import { connectTcp, listenTcp } from "../../../src/transport/mod.ts";
import { SessionServer } from "../../../src/tunnel/mod.ts";
import { LOCAL } from "../raw_peer.ts";

Deno.test("the log names a rejected connection by its address", async () => {
  const acceptor = listenTcp("127.0.0.1", 0);
  const said = Promise.withResolvers<string>();
  const server = new SessionServer(acceptor, {
    ...{ local: LOCAL, clock: systemClock, onSession: () => {} },
    log: { debugEnabled: false, log: (_level, message) => said.resolve(message) },
  });
  const pipe = await connectTcp("127.0.0.1", Number(/\d+$/.exec(acceptor.address)![0]));
  const { port } = pipe.localAddr as Deno.NetAddr;
  await pipe.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  assertMatch(
    await said.promise,
    new RegExp(`^rejected a connection from 127\\.0\\.0\\.1:${port}: `),
  );
  pipe.close();
  await server.close();
});
