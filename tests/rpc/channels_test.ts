import { assertEquals, assertRejects } from "@std/assert";
import {
  type Acceptor,
  type BytePipe,
  DeadlineError,
  silentLogger,
  systemClock,
  withDeadline,
  writeAll,
} from "../../src/io/mod.ts";
import {
  ChannelListener,
  ChannelServer,
  openChannel,
  RpcError,
  RpcPeer,
} from "../../src/rpc/mod.ts";
import { StreamResetError, type TunnelStream } from "../../src/tunnel/mod.ts";
import { pattern, readAll } from "../support/bytes.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { memoryPipe, type MemoryPipeEnd } from "../support/memory_pipe.ts";
import { sessionPair } from "../tunnel/session_pair.ts";

async function served(dials: Record<string, () => Promise<BytePipe>>) {
  const { connecting, listening } = await sessionPair();
  const channels = new ChannelServer(listening);
  for (const [name, dial] of Object.entries(dials)) channels.serve(name, dial);
  const options = { clock: systemClock, log: silentLogger, onFault: () => {} };
  const rpc = new RpcPeer(connecting.rpc, { ...options, handlers: {} });
  new RpcPeer(listening.rpc, { ...options, handlers: { openTunnel: (p) => channels.open(p) } });
  return { connecting, rpc, channels };
}

/** Accepts these, then is closed. */
function acceptorOf(...pipes: BytePipe[]): Acceptor {
  return { address: "memory", accept: () => Promise.resolve(pipes.pop()), close() {} };
}

/** A dial, and the far end of what it dialled. */
function target(): { dial: () => Promise<BytePipe>; far: Promise<MemoryPipeEnd> } {
  const far = Promise.withResolvers<MemoryPipeEnd>();
  return {
    far: far.promise,
    dial() {
      const [near, other] = memoryPipe();
      far.resolve(other);
      return Promise.resolve(near);
    },
  };
}

Deno.test("openChannel waits for its answer as long as the connection may be lost, and no longer", async () => {
  const clock = new ManualClock();
  const { connecting, listening } = await sessionPair({ graceMs: 60_000 });
  const rpc = new RpcPeer(connecting.rpc, {
    ...{ clock, log: silentLogger, handlers: {}, onFault: () => {} },
  });
  const opening = openChannel(connecting, rpc, "nbd");
  let over = false;
  opening.catch(() => {}).finally(() => over = true);
  await clock.advance(100_000);
  assertEquals(over, false, "the answer may still come");
  await clock.advance(25_000);
  await assertRejects(() => opening, DeadlineError);
  connecting.abort("test over", "stopped");
  await listening.ended;
});

Deno.test("both ends widen the window of an open stream, the server of a narrow channel does not", async () => {
  const widened: string[] = [];
  const { connecting, listening } = await sessionPair();
  const note = (end: string, stream: TunnelStream) => {
    stream.widenWindow = () => void widened.push(`${end} ${stream.id}`);
    stream.narrowWindow = () => void widened.push(`${end} ${stream.id}, narrow`);
    return stream;
  };
  const [open, accept] = [connecting.open.bind(connecting), listening.accept.bind(listening)];
  connecting.open = () => note("opened", open());
  listening.accept = (id) => note("accepted", accept(id));
  const channels = new ChannelServer(listening);
  const dial = () => Promise.resolve(memoryPipe()[0]);
  channels.serve("nbd", dial);
  channels.serve("ram", dial, { narrow: true });
  const options = { clock: systemClock, log: silentLogger, onFault: () => {} };
  const rpc = new RpcPeer(connecting.rpc, { ...options, handlers: {} });
  new RpcPeer(listening.rpc, { ...options, handlers: { openTunnel: (p) => channels.open(p) } });
  for (const channel of ["nbd", "ram"]) {
    const listener = new ChannelListener(acceptorOf(memoryPipe()[0]), channel, {
      log: silentLogger,
      open: async (name) => {
        const stream = await openChannel(connecting, rpc, name);
        widened.push(`${name} is open`);
        return stream;
      },
    });
    for (let i = 0; i < 20; i++) await settle();
    await listener.close();
  }
  assertEquals(widened, [
    ...["accepted 1", "nbd is open", "opened 1"],
    ...["accepted 3, narrow", "ram is open", "opened 3"],
  ]);
  connecting.abort("test over", "stopped");
  await listening.ended;
});

Deno.test("a channel carries bytes both ways and ends each direction by itself", async () => {
  const { dial, far } = target();
  const { connecting, rpc, channels } = await served({ nbd: dial });
  const stream = await openChannel(connecting, rpc, "nbd");
  const there = pattern(300_000, 1);
  const back = pattern(200_000, 2);
  const end = await far;
  const writing = writeAll(stream, there).then(() => stream.closeWrite());
  assertEquals(await readAll(end), there);
  await writing;
  // The other direction is still open.
  const answering = writeAll(end, back).then(() => end.closeWrite());
  assertEquals(await readAll(stream), back);
  await answering;
  await channels.join();
  assertEquals(await connecting.close(), undefined);
});

Deno.test("an unknown channel is refused with the names of the others, and the session goes on", async () => {
  const { dial } = target();
  const { connecting, rpc, channels } = await served({ nbd: dial, ram: dial });
  const error = await assertRejects(() => openChannel(connecting, rpc, "etc"), RpcError);
  assertEquals(error.message, 'Got channel "etc", served here: nbd, ram');
  channels.stop();
  await assertRejects(() => openChannel(connecting, rpc, "nbd"), RpcError, "served here: none");
  assertEquals(await connecting.close(), undefined);
});

Deno.test("a channel that cannot be connected is refused with the reason", async () => {
  const dial = () => Promise.reject(new Error("Can't connect to unix:///x: Connection refused"));
  const { connecting, rpc } = await served({ nbd: dial });
  await assertRejects(() => openChannel(connecting, rpc, "nbd"), RpcError, "Connection refused");
  assertEquals(await connecting.close(), undefined);
});

Deno.test("a broken socket resets its stream with the reason", async () => {
  const [near] = memoryPipe();
  const broken: BytePipe = {
    read: () => Promise.reject(new Error("Connection reset by peer")),
    write: (b) => near.write(b),
    closeWrite: () => near.closeWrite(),
    close: () => near.close(),
  };
  const { connecting, rpc } = await served({ nbd: () => Promise.resolve(broken) });
  const stream = await openChannel(connecting, rpc, "nbd");
  const error = await assertRejects(() => readAll(stream), StreamResetError);
  assertEquals([error.code, error.by], ["read-failed", "peer"]);
  assertEquals(error.message.includes("Connection reset by peer"), true);
  assertEquals(await connecting.close(), undefined);
});

Deno.test("closing a listener cuts its joined streams, also those that wait for the tunnel", async () => {
  const { dial } = target();
  const { connecting, rpc } = await served({ nbd: dial });
  connecting.setBandwidth(1);
  const [near, far] = memoryPipe();
  const listener = new ChannelListener(acceptorOf(near), "nbd", {
    open: () => openChannel(connecting, rpc, "nbd"),
    log: silentLogger,
  });
  // More than the stream takes: the splice waits for room, and the tunnel gives none.
  let written = 0;
  const writing = (async () => {
    while (true) written += await far.write(new Uint8Array(65536));
  })().catch(() => {});
  for (let before = -1, still = 0; still < 20; before = written) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    still = written > 0 && written === before ? still + 1 : 0;
  }
  await withDeadline(systemClock, 5000, "the listener to be closed", listener.close());
  await writing;
  assertEquals(listener.active, 0);
  connecting.abort("test over", "stopped");
});

Deno.test("cutJoined cuts a listener's streams, and it goes on listening", async () => {
  const { dial, far } = target();
  const { connecting, rpc } = await served({ nbd: dial });
  const waiting: ((pipe: BytePipe) => void)[] = [];
  const [first, second] = [memoryPipe(), memoryPipe()];
  const coming = [first[0], second[0]];
  const listener = new ChannelListener(
    {
      address: "memory",
      close() {},
      accept: () =>
        new Promise((resolve) => {
          if (coming.length === 2) resolve(coming.shift());
          else waiting.push(resolve);
        }),
    },
    "nbd",
    {
      open: (channel, signal) => openChannel(connecting, rpc, channel, signal),
      log: silentLogger,
    },
  );
  await far;
  assertEquals([listener.count, listener.active], [1, 1]);
  listener.cutJoined();
  assertEquals(await first[1].read(new Uint8Array(1)), null);
  waiting.shift()!(coming.shift()!);
  await writeAll(second[1], Uint8Array.of(1));
  for (let i = 0; i < 100 && listener.active > 1; i++) await settle();
  assertEquals([listener.count, listener.active], [2, 1]);
  const closing = listener.close();
  waiting.shift()!(undefined as unknown as BytePipe);
  await closing;
  connecting.abort("test over", "stopped");
});

Deno.test("closing a listener does not wait for streams that are being opened", async () => {
  const dialling = Promise.withResolvers<void>();
  const never = () => {
    dialling.resolve();
    return new Promise<BytePipe>(() => {});
  };
  const { connecting, rpc } = await served({ nbd: never });
  const ends: unknown[] = [];
  const listener = new ChannelListener(acceptorOf(memoryPipe()[0]), "nbd", {
    open: (channel, signal) => openChannel(connecting, rpc, channel, signal),
    log: silentLogger,
    onEnd: ({ error }) => ends.push(error?.message),
  });
  await dialling.promise;
  await withDeadline(systemClock, 5000, "the listener to be closed", listener.close());
  assertEquals([ends, listener.active], [["It was closed here"], 0]);
  connecting.abort("test over", "stopped");
});

Deno.test("cutting a channel closes also a pipe that is being dialled", async () => {
  const asked = Promise.withResolvers<void>();
  const dialled = Promise.withResolvers<BytePipe>();
  const { connecting, rpc, channels } = await served({
    nbd() {
      asked.resolve();
      return dialled.promise;
    },
  });
  const opening = assertRejects(() => openChannel(connecting, rpc, "nbd"), RpcError, "is closed");
  await asked.promise;
  let over = false;
  const cut = channels.cut().then(() => over = true);
  await settle();
  assertEquals(over, false, "it was not waited for");
  const [near, far] = memoryPipe();
  dialled.resolve(near);
  await cut;
  await opening;
  assertEquals(await far.read(new Uint8Array(1)).catch(() => null), null);
  assertEquals(await connecting.close(), undefined);
});
