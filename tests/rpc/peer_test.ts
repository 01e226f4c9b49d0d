import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DeadlineError, silentLogger, writeAll } from "../../src/io/mod.ts";
import { encodeMessage } from "../../src/rpc/message.ts";
import { type Handlers, RpcError, RpcPeer } from "../../src/rpc/mod.ts";
import { procedures } from "../../src/rpc/procedures.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

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

Deno.test("calls from both ends at once, a byte at a time, get their own answers", async () => {
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

Deno.test("progress renews the deadline of a call", async () => {
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

Deno.test("answers come in any order, also to more calls than are worked on at a time", async () => {
  const gates: (() => void)[] = [];
  const { left, end } = peers({}, {
    openTunnel: ({ stream }) =>
      stream === 1 ? new Promise((resolve) => gates.push(() => resolve({}))) : Promise.resolve({}),
  });
  const slow = left.call("openTunnel", { stream: 1, channel: "x", lane: null }, soon);
  const many = Array.from(
    { length: 200 },
    (_, i) => left.call("openTunnel", { stream: i + 2, channel: "x", lane: null }, soon),
  );
  await Promise.all(many);
  gates[0]!();
  assertEquals(await slow, {});
  await end();
});

Deno.test("an error keeps its code and message; unknown procedures and bad parameters have codes", async () => {
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
    'unknown-procedure: This end has no procedure "status"',
  );
  const bad = left.call("openTunnel", { stream: 0, channel: "x", lane: null }, soon);
  assertEquals(
    await codeOf(bad),
    "bad-params: params.stream: got 0, expected a whole number from 1 to 4294967295",
  );
  await end();
});

Deno.test("an answer that does not fit its procedure fails that call alone", async () => {
  const { left, end } = peers({}, {
    status: () => Promise.resolve({ state: "dancing", guest: null } as never),
    abort: () => Promise.resolve({} as never),
  });
  const error = await assertRejects(() => left.call("status", { migration: "m" }, soon), RpcError);
  assertEquals(error.code, "bad-result");
  assertEquals(await left.call("abort", GIVEN_UP, soon), { left: null });
  await end();
});

Deno.test("a call without an answer in time fails, and its late answer is dropped", async () => {
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

Deno.test("the end of the pipe fails every waiting and every later call with the cause", async () => {
  const { left, pipes } = peers({}, { status: () => new Promise(() => {}) });
  const status = () => left.call("status", { migration: "m" }, soon);
  const calls = [1, 2].map(() => assertRejects(status, Error, "The other end ended the RPC"));
  await settle();
  await pipes[1].closeWrite();
  await Promise.all(calls);
  await assertRejects(status, Error, "The other end ended the RPC");
  for (const pipe of pipes) pipe.close();
  await left.join();
});

Deno.test("a broken pipe fails every waiting call with its error", async () => {
  const { left, pipes } = peers({}, { status: () => new Promise(() => {}) });
  const call = assertRejects(
    () => left.call("status", { migration: "m" }, soon),
    Deno.errors.ConnectionReset,
  );
  await settle();
  pipes[0].cut();
  await call;
  await left.join();
});

Deno.test("unknown members of a message are ignored", async () => {
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

Deno.test("the problems of an error arrive one by one, bounded and printable", async () => {
  const many = Array.from({ length: 70 }, (_, i) => `${i}\x1b${"x".repeat(2000)}`);
  let problems: readonly string[] = many;
  const { left, end } = peers({}, {
    status: () => Promise.reject(new RpcError("refused", "all of it", problems)),
  });
  const refused = () =>
    assertRejects(() => left.call("status", { migration: "m" }, soon), RpcError);
  const got = (await refused()).problems;
  assertEquals([got.length, got[0]!.slice(0, 3), got[0]!.length], [64, "0?x", 1024]);
  problems = [];
  assertEquals((await refused()).problems, []);
  await end();
});

Deno.test("an abort of vmferry 1.0, without code and side, is accepted", () => {
  const read = (params: unknown) => procedures.abort.params(params, "params");
  assertEquals(read({ reason: "", cancelled: false }), GIVEN_UP);
  const named = { ...GIVEN_UP, code: "disk-full", side: "destination" as const };
  assertEquals(read({ ...named, more: 1 }), named);
  assertThrows(() => read({ ...named, side: "elsewhere" }), Error, "params.side");
  assertThrows(() => read({ ...named, code: "x".repeat(65) }), Error, "params.code");
});
