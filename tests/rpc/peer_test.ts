import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DeadlineError, silentLogger, writeAll } from "../../src/io/mod.ts";
import { encodeMessage, MessageError, messageLength } from "../../src/rpc/message.ts";
import { type Handlers, RpcError, RpcPeer } from "../../src/rpc/mod.ts";
import { procedures } from "../../src/rpc/procedures.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { memoryPipe } from "../support/memory_pipe.ts";
import { limits } from "../../src/tunnel/mod.ts";

const { MAX_CALLS, MAX_MESSAGE, MAX_REQUESTS } = limits;

const STATUS = { state: "waiting", guest: null } as const;
const GIVEN_UP = { reason: "", cancelled: false, code: null, side: null };

function peers(a: Handlers, b: Handlers, chunk?: () => number) {
  const pipes = memoryPipe(chunk ? { chunk } : {});
  const clock = new ManualClock();
  const faults: string[] = [];
  const make = (i: 0 | 1, handlers: Handlers) =>
    new RpcPeer(pipes[i], {
      clock,
      log: silentLogger,
      handlers,
      onFault: (e) => {
        faults.push(e.message);
        pipes[i].close();
      },
    });
  const end = async () => {
    for (const pipe of pipes) pipe.close();
    await Promise.all([left.join(), right.join()]);
  };
  const [left, right] = [make(0, a), make(1, b)];
  return { left, right, clock, faults, pipes, end };
}

const soon = { timeoutMs: 1000 };

Deno.test("both ends call at once, a byte at a time, and each gets its own answers", async () => {
  const answer = (guest: string) => ({ status: () => Promise.resolve({ ...STATUS, guest }) });
  const { left, right, end } = peers(answer("left"), answer("right"), () => 1);
  const calls = Array.from({ length: 20 }, () => [
    left.call("status", { migration: "m" }, soon),
    right.call("status", { migration: "m" }, soon),
  ]).flat();
  const guests = (await Promise.all(calls)).map((r) => r.guest);
  assertEquals(guests, Array(20).fill(["right", "left"]).flat());
  await end();
});

Deno.test("a call waits as long as bytes cross, and its time after that", async () => {
  const gate = Promise.withResolvers<Record<never, never>>();
  const { left, clock, end } = peers({}, { load: () => gate.promise });
  let crossed = 0;
  let failed = "";
  left.call("load", {}, { timeoutMs: 1000, progress: () => crossed })
    .catch((error) => failed = error.name);
  for (let i = 0; i < 100; i++) {
    crossed++;
    await clock.advance(900);
  }
  assertEquals(failed, "");
  await clock.advance(1200);
  assertEquals(failed, "DeadlineError");
  gate.resolve({});
  await end();
});

Deno.test("an answer may overtake another; more calls than are worked on at once all get theirs", async () => {
  const gates: (() => void)[] = [];
  const { left, end } = peers({}, {
    openTunnel: ({ stream }) =>
      stream === 1 ? new Promise((resolve) => gates.push(() => resolve({}))) : Promise.resolve({}),
  });
  const slow = left.call("openTunnel", { stream: 1, channel: "x" }, soon);
  const many = Array.from(
    { length: 200 },
    (_, i) => left.call("openTunnel", { stream: i + 2, channel: "x" }, soon),
  );
  await Promise.all(many);
  gates[0]!();
  assertEquals(await slow, {});
  await end();
});

Deno.test("an error keeps its code and words; unknown procedures and bad parameters have theirs", async () => {
  const { left, end } = peers({}, {
    finish: () => Promise.reject(new RpcError("not-started", "No guest here")),
    abort: () => Promise.reject(new Error("Broken")),
    openTunnel: () => Promise.resolve({}),
  });
  const codeOf = async (call: Promise<unknown>) => {
    const error = await assertRejects(() => call, RpcError);
    return `${error.code}: ${error.message}`;
  };
  assertEquals(
    await codeOf(left.call("finish", { run: true }, soon)),
    "not-started: No guest here",
  );
  const aborted = left.call("abort", GIVEN_UP, soon);
  assertEquals(await codeOf(aborted), "failed: Broken");
  assertEquals(
    await codeOf(left.call("status", { migration: "m" }, soon)),
    'unknown-procedure: The procedure "status" is not known here',
  );
  const bad = left.call("openTunnel", { stream: 0, channel: "x" }, soon);
  assertEquals(
    await codeOf(bad),
    "bad-params: params.stream: got 0, expected a whole number from 1 to 4294967295",
  );
  await end();
});

Deno.test("an answer that does not fit its procedure is an error of that call alone", async () => {
  const { left, end } = peers({}, {
    status: () => Promise.resolve({ state: "dancing", guest: null } as never),
    abort: () => Promise.resolve({} as never),
  });
  const error = await assertRejects(() => left.call("status", { migration: "m" }, soon), RpcError);
  assertEquals(error.code, "bad-result");
  assertEquals(await left.call("abort", GIVEN_UP, soon), { left: null });
  await end();
});

Deno.test("a call that is not answered in time fails; its late answer harms nobody", async () => {
  const late = Promise.withResolvers<typeof STATUS>();
  const { left, clock, faults, end } = peers({}, {
    status: () => late.promise,
    abort: () => Promise.resolve({} as never),
  });
  const call = assertRejects(
    () => left.call("status", { migration: "m" }, soon),
    DeadlineError,
    '"status"',
  );
  await clock.advance(1000);
  await call;
  late.resolve(STATUS);
  assertEquals(await left.call("abort", GIVEN_UP, soon), { left: null });
  assertEquals(faults, []);
  await end();
});

Deno.test("the end of the pipe fails every call with the cause", async () => {
  const { left, pipes, end } = peers({}, { status: () => new Promise(() => {}) });
  const calls = [1, 2].map(() =>
    assertRejects(() => left.call("status", { migration: "m" }, soon), Error)
  );
  await settle();
  pipes[1].close();
  await Promise.all(calls);
  pipes[0].close();
  void end;
});

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
  const [name, bytes, told] of [
    ["a message of four gigabytes", [HEAD(0xffffffff)], "4294967295 bytes"],
    ["a message one byte too long", [HEAD(MAX_MESSAGE + 1)], "expected 1 to 1048576"],
    ["an empty message", [HEAD(0)], "0 bytes"],
    ["no JSON", message("{nope"), "no JSON"],
    ["neither request nor reply", message('{"id": 1}'), "neither"],
    ["no id", message('{"method": "status"}'), "message.id"],
    ["an array", message("[]"), "message"],
  ] as const
) {
  Deno.test(`misbehaviour: ${name} is a fault of the session`, async () => {
    const [ours, theirs] = memoryPipe();
    const fault = Promise.withResolvers<string>();
    const peer = new RpcPeer(ours, {
      clock: new ManualClock(),
      log: silentLogger,
      handlers: {},
      onFault: (e) => fault.resolve(e.message),
    });
    for (const part of bytes) await writeAll(theirs, part);
    assertEquals((await fault.promise).includes(told), true, await fault.promise);
    await peer.join();
  });
}

Deno.test("limit: a message may be as long as the limit says, and not a byte longer", async () => {
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

Deno.test("limit: so many calls at a time; one more fails at once, and room is made again", async () => {
  const gates: (() => void)[] = [];
  const { left, end } = peers({}, {
    openTunnel: () => new Promise((resolve) => gates.push(() => resolve({}))),
  });
  const call = () => left.call("openTunnel", { stream: 1, channel: "x" }, soon);
  const calls = Array.from({ length: MAX_CALLS }, call);
  await assertRejects(call, RangeError, "1024 calls are under way");
  // The other end works on some at a time: the next ones come as these are done.
  for (let done = 0; done < MAX_CALLS; await settle()) {
    done += gates.length;
    for (const open of gates.splice(0)) open();
  }
  await Promise.all(calls);
  const last = call();
  await settle();
  gates[0]!();
  assertEquals(await last, {});
  await end();
});

Deno.test("limit: a peer that asks and takes no answer is worked for up to a bound", async () => {
  const [ours, theirs] = memoryPipe();
  let asked = 0;
  const peer = new RpcPeer(ours, {
    clock: new ManualClock(),
    log: silentLogger,
    handlers: {
      status() {
        asked++;
        return Promise.resolve({ ...STATUS, guest: "g".repeat(64) });
      },
    },
    onFault: () => {},
  });
  // What fits into the pipe is answered; past that, answers wait.
  const fits = Math.ceil(65536 / 100);
  let written = 0;
  const flood = (async () => {
    for (let id = 1; id <= 20_000; id++) {
      await writeAll(theirs, encodeMessage({ id, method: "status", params: { migration: "m" } }));
      written = id;
    }
  })().catch(() => {});
  for (let [still, before] = [0, -1]; still < 50; await settle()) {
    still = asked === before ? still + 1 : 0;
    before = asked;
  }
  assert(asked >= MAX_REQUESTS && asked <= fits + MAX_REQUESTS, `${asked} requests`);
  assert(written < 20_000, "it was let ask for ever");
  theirs.close();
  await flood;
  await peer.join();
});

Deno.test("members that a later version adds are ignored", async () => {
  const [ours, theirs] = memoryPipe();
  const peer = new RpcPeer(ours, {
    clock: new ManualClock(),
    log: silentLogger,
    handlers: { finish: (params) => Promise.resolve({ status: JSON.stringify(params) }) },
    onFault: () => {},
  });
  await writeAll(
    theirs,
    encodeMessage({ id: 9, method: "finish", params: { run: true, colour: "blue" } }),
  );
  const buffer = new Uint8Array(1000);
  const n = await theirs.read(buffer);
  const reply = JSON.parse(new TextDecoder().decode(buffer.subarray(4, n!)));
  assertEquals(reply, { id: 9, result: { status: '{"run":true}' } });
  theirs.close();
  ours.close();
  await peer.join();
});

Deno.test("an error that tells several things has each on its own, within bounds and harmless", async () => {
  const many = Array.from({ length: 70 }, (_, i) => `${i}\x1b${"x".repeat(2000)}`);
  let problems: readonly string[] = many;
  const { left, end } = peers({}, {
    status: () => Promise.reject(new RpcError("refused", "all of it", problems)),
  });
  const refused = () =>
    assertRejects(() => left.call("status", { migration: "m" }, soon), RpcError);
  const told = (await refused()).problems;
  assertEquals([told.length, told[0]!.slice(0, 3), told[0]!.length], [64, "0?x", 1024]);
  problems = [];
  assertEquals((await refused()).problems, []);
  await end();
});

Deno.test("an older source's abort, which names neither code nor side, is understood", () => {
  const read = (params: unknown) => procedures.abort.params(params, "params");
  assertEquals(read({ reason: "", cancelled: false }), GIVEN_UP);
  const told = { ...GIVEN_UP, code: "disk-full", side: "destination" as const };
  assertEquals(read({ ...told, more: 1 }), told);
  assertThrows(() => read({ ...told, side: "elsewhere" }), Error, "params.side");
  assertThrows(() => read({ ...told, code: "x".repeat(65) }), Error, "params.code");
});
