import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { silentLogger, writeAll } from "../../src/io/mod.ts";
import { encodeMessage, MessageError, messageLength } from "../../src/rpc/message.ts";
import { RpcPeer } from "../../src/rpc/mod.ts";
import { limits } from "../../src/tunnel/mod.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

const { MAX_CALLS, MAX_MESSAGE, MAX_REQUESTS } = limits;

const HEAD = (length: number) => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, length);
  return bytes;
};
const message = (text: string) => {
  const body = new TextEncoder().encode(text);
  return [HEAD(body.length), body];
};

for (
  const [name, bytes, reason] of [
    ["a message of four gigabytes", [HEAD(0xffffffff)], "4294967295 bytes"],
    ["a message one byte too long", [HEAD(MAX_MESSAGE + 1)], "expected 1 to 1048576"],
    ["an empty message", [HEAD(0)], "0 bytes"],
    ["a message that is not JSON", message("{nope"), "not JSON"],
    ["a message that is neither a request nor a reply", message('{"id": 1}'), "neither"],
    ["a message without an id", message('{"method": "status"}'), "message.id"],
    ["an array in place of a message", message("[]"), "message"],
  ] as const
) {
  Deno.test(`${name} is a fault of the session`, async () => {
    const [ours, theirs] = memoryPipe();
    const fault = Promise.withResolvers<string>();
    const peer = new RpcPeer(ours, {
      clock: new ManualClock(),
      log: silentLogger,
      handlers: {},
      onFault: (e) => fault.resolve(e.message),
    });
    for (const part of bytes) await writeAll(theirs, part);
    assertEquals((await fault.promise).includes(reason), true, await fault.promise);
    await peer.join();
  });
}

Deno.test("a message of the limit is accepted, one byte more is refused", async () => {
  const message = (length: number) => ({
    id: 1,
    result: "x".repeat(length - '{"id":1,"result":""}'.length),
  });
  const longest = encodeMessage(message(MAX_MESSAGE));
  assertEquals(messageLength(longest), MAX_MESSAGE);
  assertThrows(() => encodeMessage(message(MAX_MESSAGE + 1)), MessageError, "1048577 bytes");
  const [ours, theirs] = memoryPipe();
  const faults: string[] = [];
  const peer = new RpcPeer(ours, {
    clock: new ManualClock(),
    log: silentLogger,
    handlers: {},
    onFault: (e) => faults.push(e.message),
  });
  await writeAll(theirs, longest);
  await theirs.closeWrite();
  await peer.join();
  assertEquals(faults, []);
});

Deno.test("one call too many fails at once, and an answer makes room", async () => {
  const gates: (() => void)[] = [];
  const pipes = memoryPipe();
  const common = { clock: new ManualClock(), log: silentLogger, onFault: () => {} };
  const openTunnel = () =>
    new Promise<Record<never, never>>((resolve) => gates.push(() => resolve({})));
  const right = new RpcPeer(pipes[1], { ...common, handlers: { openTunnel } });
  const left = new RpcPeer(pipes[0], { ...common, handlers: {} });
  const call = () =>
    left.call("openTunnel", { stream: 1, channel: "x", lane: null }, { timeoutMs: 1000 });
  const calls = Array.from({ length: MAX_CALLS }, call);
  await assertRejects(call, RangeError, "1024 calls are under way");
  // The other end works on some at a time: the next ones start as these end.
  for (let done = 0; done < MAX_CALLS; await settle()) {
    done += gates.length;
    for (const open of gates.splice(0)) open();
  }
  await Promise.all(calls);
  const last = call();
  await settle();
  gates[0]!();
  assertEquals(await last, {});
  for (const pipe of pipes) pipe.close();
  await Promise.all([left.join(), right.join()]);
});

Deno.test("a peer that sends requests and reads no answers is stopped at a bound", async () => {
  const [ours, theirs] = memoryPipe();
  let asked = 0;
  const peer = new RpcPeer(ours, {
    clock: new ManualClock(),
    log: silentLogger,
    handlers: {
      status() {
        asked++;
        return Promise.resolve({ state: "waiting" as const, guest: "g".repeat(64) });
      },
    },
    onFault: () => {},
  });
  // The pipe takes this many answers; the others wait.
  const fits = Math.ceil(65536 / 100);
  let written = 0;
  const flood = (async () => {
    for (let id = 1; id <= 20_000; id++) {
      await writeAll(theirs, encodeMessage({ id, method: "status", params: { migration: "m" } }));
      written = id;
    }
  })().catch(() => {});
  for (let [same, before] = [0, -1]; same < 50; await settle()) {
    same = asked === before ? same + 1 : 0;
    before = asked;
  }
  assert(asked >= MAX_REQUESTS && asked <= fits + MAX_REQUESTS, `${asked} requests`);
  assert(written < 20_000, "no bound was reached");
  theirs.close();
  await flood;
  await peer.join();
});
