import { assert, assertEquals, assertRejects } from "@std/assert";
import { silentLogger, systemClock, writeAll } from "../../src/io/mod.ts";
import { ChannelServer, openChannel, RpcPeer } from "../../src/rpc/mod.ts";
import { pattern } from "../support/bytes.ts";
import { HeldPipe } from "../support/held_pipe.ts";
import { hurriedClock } from "../support/cutting.ts";
import { settle } from "../support/manual_clock.ts";
import { memoryPipe, type MemoryPipeEnd } from "../support/memory_pipe.ts";
import { world } from "../tunnel/resume_world.ts";

Deno.test("a stream on another lane is opened only once a reset one can deliver nothing more", async () => {
  const held: HeldPipe[] = [];
  const made = await world(undefined, {
    lanes: 2,
    clock: systemClock,
    dialled: (n, pipe) => held[n] = new HeldPipe(pipe),
  });
  const { connecting, listening, server } = made;
  const dialled: MemoryPipeEnd[] = [];
  const channels = new ChannelServer(listening);
  channels.serve("nbd", () => {
    const [near, far] = memoryPipe();
    dialled.push(far);
    return Promise.resolve(near);
  });
  const options = { clock: systemClock, log: silentLogger, onFault: () => {} };
  const rpc = new RpcPeer(connecting.rpc, { ...options, handlers: {} });
  new RpcPeer(listening.rpc, { ...options, handlers: { openTunnel: (p) => channels.open(p) } });

  const old = await openChannel(connecting, rpc, "nbd");
  assertEquals(
    [old.lane, connecting.lanes.length],
    [1, 2],
    "the lanes are opened by the first stream",
  );
  held[1]!.hold();
  await writeAll(old, pattern(1000, 1));
  await settle();
  old.reset("cancelled", "cut off here");
  const opening = openChannel(connecting, rpc, "nbd");
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(dialled.length, 1, "nothing is asked while the old bytes are on their way");
  held[1]!.release();
  const next = await opening;
  assertEquals(dialled.length, 2);
  const signal = AbortSignal.abort(new Error("not wanted"));
  await assertRejects(() => openChannel(connecting, rpc, "nbd", signal), Error, "not wanted");
  next.reset("cancelled", "test over");
  connecting.abort("test over", "stopped");
  await listening.ended;
  await server.close();
});

Deno.test("a stream of a session that cannot open its other lanes goes over the first", async () => {
  const made = await world(undefined, {
    ...{ lanes: 2, connectMs: 2000, clock: hurriedClock },
    dialled: (n, pipe) => {
      if (n === 0) return pipe;
      throw new Error("a firewall");
    },
  });
  const { connecting, listening, server } = made;
  const channels = new ChannelServer(listening);
  channels.serve("nbd", () => Promise.resolve(memoryPipe()[0]));
  const options = { clock: systemClock, log: silentLogger, onFault: () => {} };
  const rpc = new RpcPeer(connecting.rpc, { ...options, handlers: {} });
  new RpcPeer(listening.rpc, { ...options, handlers: { openTunnel: (p) => channels.open(p) } });
  const stream = await openChannel(connecting, rpc, "nbd");
  assertEquals(stream.lane, 0);
  assert(connecting.lacksLanes, "the next stream tries again");
  stream.reset("cancelled", "test over");
  connecting.abort("test over", "stopped");
  await listening.ended;
  await server.close();
});
