import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError, openConnections } from "../../src/migrate/mod.ts";
import { SessionError } from "../../src/tunnel/mod.ts";
import { world } from "../tunnel/resume_world.ts";

const signal = new AbortController().signal;

Deno.test("a destination that takes one connection is refused, with what to do", async () => {
  const { connecting, listening, server } = await world(undefined, { wantedLanes: 4 });
  const error = await assertRejects(() => openConnections(connecting, signal), MigrationError);
  assertEquals([error.kind, error.code, error.side], ["refused", "connections", "destination"]);
  assertEquals(
    error.message,
    "The other end's vmferry takes one connection only, expected 4. Give fewer --connections, or none",
  );
  await Promise.all([connecting.close(), listening.ended]);
  await server.close();
});

Deno.test("a session that is lost while its connections are opened ends with its own reason", async () => {
  const made = await world(undefined, {
    lanes: 4,
    dialled: (n, pipe) => {
      if (n === 0) return pipe;
      made.listening.abort("stopped by its user", "stopped");
      throw new Error("no connection");
    },
  });
  const error = await assertRejects(() => openConnections(made.connecting, signal), SessionError);
  assertEquals([error.code, error.peerReason], ["ended-by-peer", "stopped by its user"]);
  await made.server.close();
});

Deno.test("a session that wants one connection opens no other", async () => {
  const { connecting, listening, server, connections } = await world();
  await openConnections(connecting, signal);
  assertEquals([connections(), connecting.lanes.length], [1, 1]);
  await Promise.all([connecting.close(), listening.ended]);
  await server.close();
});
