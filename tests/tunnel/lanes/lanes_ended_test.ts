import { assertEquals, assertMatch } from "@std/assert";
import { SessionError } from "../../../src/tunnel/mod.ts";
import { world } from "../resume_world.ts";

Deno.test("an end learns why the other end has ended the session with one of its lanes", async () => {
  const { connecting, listening, server } = await world(undefined, { lanes: 4 });
  await connecting.openLanes();
  const stream = connecting.open();
  assertEquals(listening.accept(stream.id, stream.lane).lane, 3);
  listening.lane(2)!.drop(new SessionError("lost", "nothing came back"));
  const [here, there] = await Promise.all([connecting.ended, listening.ended]);
  assertEquals(there?.message, "nothing came back (connection 3 of 4)");
  assertEquals(here?.code, "lost");
  assertMatch(stream.failure!.message, /nothing came back/);
  assertMatch(here!.message, /The session has ended: nothing came back.*\(connection 3 of 4\)/);
  await server.close();
});
