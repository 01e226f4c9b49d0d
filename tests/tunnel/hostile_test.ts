import { assert, assertEquals } from "@std/assert";
import { delay, systemClock, writeAll } from "../../src/io/mod.ts";
import { encodePreface } from "../../src/tunnel/wire/hello.ts";
import { limits } from "../../src/tunnel/mod.ts";
import * as wire from "../../src/tunnel/wire/layout.ts";
import { concat, pattern } from "../support/bytes.ts";
import { frame, listen, listeningEnd, shout, u64 } from "./raw_peer.ts";

const code = (value: number, reason = "") => {
  const text = new TextEncoder().encode(reason);
  const bytes = new Uint8Array(2 + text.length);
  new DataView(bytes.buffer).setUint16(0, value);
  bytes.set(text, 2);
  return bytes;
};
const reset = (stream: number) => frame(wire.RESET, stream, new Uint8Array(10));
const hugeLength = (() => {
  const bytes = frame(wire.DATA, 0);
  new DataView(bytes.buffer).setUint32(0, 0xffffffff);
  return bytes;
})();
const reservedBits = (() => {
  const bytes = frame(wire.PING, 0, new Uint8Array(8));
  bytes[7] = 1;
  return bytes;
})();

/** A fault after the handshake, its frames, and a part of the reason that the peer gets. */
const FAULTS: readonly [string, readonly Uint8Array[], string][] = [
  ["an unknown type", [frame(99, 0)], "unknown type 99"],
  ["a length of four gigabytes", [hugeLength], "4294967295 bytes"],
  ["DATA one byte too long", [frame(wire.DATA, 0, new Uint8Array(limits.MAX_DATA + 1))], "262145"],
  ["reserved bits", [reservedBits], "reserved bits"],
  ["an undefined flag", [frame(wire.DATA, 0, new Uint8Array(1), 4)], "flags 4"],
  ["a flag where none is", [frame(wire.PONG, 0, new Uint8Array(8), 1)], "flags 1"],
  ["a flag that PING has not", [frame(wire.PING, 0, new Uint8Array(8), 2)], "flags 2"],
  ["ACK on a stream", [frame(wire.ACK, 3, u64(0))], "on stream 3"],
  ["RESET of stream 0", [reset(0)], "on stream 0"],
  ["a short PING", [frame(wire.PING, 0, new Uint8Array(7))], "expected 8"],
  ["another HELLO", [frame(wire.HELLO, 0, new Uint8Array(96))], "after the handshake"],
  ["another AUTH", [frame(wire.AUTH, 0, new Uint8Array(32))], "after the handshake"],
  ["RESUME in the middle", [frame(wire.RESUME, 0, new Uint8Array(48))], "after the handshake"],
  ["DATA for a stream that was never opened", [frame(wire.DATA, 1, new Uint8Array(1))], "never"],
  ["CREDIT for a stream of the other parity", [frame(wire.CREDIT, 2, u64(1))], "never opened"],
  ["ACK of what was not sent", [frame(wire.ACK, 0, u64(1_000_000))], "acknowledgement"],
  ["a count over 2^53", [frame(wire.ACK, 0, new Uint8Array(8).fill(255))], "2^53"],
  [
    "a byte over the credit of the RPC",
    [frame(wire.DATA, 0, new Uint8Array(limits.RPC_WINDOW)), frame(wire.DATA, 0, pattern(1))],
    "allowed",
  ],
  ["DATA after FIN", [frame(wire.DATA, 0, pattern(1), 1), frame(wire.DATA, 0, pattern(1))], "end"],
];

for (const [name, frames, reason] of FAULTS) {
  Deno.test(`${name} from a peer ends the session with that reason`, async () => {
    const { server, intruder } = listeningEnd();
    const { pipe, session, heard } = await intruder();
    await shout(pipe, ...frames);
    const error = await session.ended;
    assertEquals(error?.code, "protocol-error");
    assert(error!.message.includes(reason), error!.message);
    const goaway = (await heard).find((h) => h.type === wire.GOAWAY);
    assert(goaway?.text.includes(reason), JSON.stringify(goaway));
    await server.close();
  });
}

Deno.test("a byte over a stream's credit ends the session, and a used or lower id is refused", async () => {
  const { server, intruder } = listeningEnd();
  const over = await intruder();
  const stream = over.session.accept(1);
  const window = new Uint8Array(limits.FIRST_WINDOW);
  await shout(over.pipe, frame(wire.DATA, 1, window), frame(wire.DATA, 1, pattern(1)));
  assertEquals((await over.session.ended)?.code, "protocol-error");
  assertEquals(stream.bytesReceived, limits.FIRST_WINDOW);

  const { session } = await intruder();
  session.accept(5);
  for (const id of [5, 3, 2, 0]) {
    let refused = false;
    try {
      session.accept(id);
    } catch {
      refused = true;
    }
    assert(refused, `stream ${id}`);
  }
  session.abort("test over", "stopped");
  await server.close();
});

Deno.test("a reset whose final offset differs from the received bytes ends the session", async () => {
  const { server, intruder } = listeningEnd();
  const at = (stream: number, offset: number) =>
    frame(wire.RESET, stream, concat([code(1), u64(offset), new TextEncoder().encode("gone")]));
  const { pipe, session } = await intruder();
  const [right, wrong] = [session.accept(1), session.accept(3)];
  await shout(pipe, frame(wire.DATA, 1, pattern(9)), at(1, 9));
  await right.ended;
  assertEquals(right.failure?.message, "gone");
  assertEquals(session.state, "up");
  await shout(pipe, frame(wire.DATA, 3, pattern(9)), at(3, 8));
  assertEquals((await session.ended)?.code, "protocol-error");
  assert(wrong.failure !== undefined);
  await server.close();
});

Deno.test("a session that cannot end cleanly sends one GOAWAY and nothing after it", async () => {
  const { server, intruder } = listeningEnd();
  const { session, heard } = await intruder();
  session.accept(1);
  await session.close(10);
  const said = (await heard).filter((h) => h.type === wire.GOAWAY);
  assertEquals(said.map((h) => h.text), ["The session could not be ended cleanly within 0.01 s"]);
  await server.close();
});

Deno.test("a stream beyond the limit is refused, and the others go on", async () => {
  const { server, intruder } = listeningEnd();
  const { session } = await intruder();
  for (let i = 0; i < limits.MAX_STREAMS; i++) session.accept(2 * i + 1);
  let message = "";
  try {
    session.accept(2 * limits.MAX_STREAMS + 1);
  } catch (error) {
    message = (error as Error).message;
  }
  assert(message.includes("256"), message);
  assertEquals(session.state, "up");
  session.abort("test over", "stopped");
  await server.close();
});

/** Floods that break no rule; what they cost must not grow with them. */
const FLOODS: readonly [string, Uint8Array][] = [
  ["PING", frame(wire.PING, 0, new Uint8Array(8))],
  ["CREDIT", frame(wire.CREDIT, 0, u64(1))],
  ["empty DATA", frame(wire.DATA, 0)],
  ["ACK of nothing new", frame(wire.ACK, 0, u64(0))],
  ["PONG nobody asked for", frame(wire.PONG, 0, new Uint8Array(8))],
];

for (const [name, one] of FLOODS) {
  Deno.test(`a flood of ${name} costs no memory`, async () => {
    const { server, intruder } = listeningEnd();
    const { pipe, session } = await intruder();
    const many = new Uint8Array(one.length * 1000);
    for (let i = 0; i < 1000; i++) many.set(one, i * one.length);
    for (let i = 0; i < 100; i++) await writeAll(pipe, many);
    assertEquals(session.state, "up");
    // Only acknowledgements are kept.
    assert(session.inFlight < 1024, `${session.inFlight} bytes`);
    session.abort("test over", "stopped");
    await server.close();
  });
}

Deno.test("resets of streams that were not opened yet are remembered up to a bound", async () => {
  const { server, intruder } = listeningEnd();
  const { pipe, session } = await intruder();
  for (let i = 0; i < 2 * limits.MAX_STREAMS; i++) await shout(pipe, reset(2 * i + 1));
  assertEquals((await session.ended)?.code, "protocol-error");
  await server.close();
});

Deno.test("noise in place of a handshake is rejected, and a later handshake succeeds", async () => {
  const { server, network, sessions, intruder } = listeningEnd();
  const noise = [
    new Uint8Array(),
    pattern(1),
    pattern(100_000, 3),
    new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    frame(wire.PING, 0, new Uint8Array(8)),
    wire.MAGIC,
  ];
  for (const bytes of noise) {
    const pipe = await network.dial();
    const heard = listen(pipe);
    await shout(pipe, bytes);
    await pipe.closeWrite();
    await heard;
    pipe.close();
  }
  assertEquals(sessions.length, 0);
  const { session } = await intruder();
  assertEquals(session.state, "up");
  session.abort("test over", "stopped");
  await server.close();
});

Deno.test("a handshake that sends nothing, or a byte now and then, is closed at the deadline", async () => {
  const { server, network, sessions } = listeningEnd(0, 200);
  const silent = listen(await network.dial());
  const slow = await network.dial();
  let dropped = false;
  const gone = listen(slow).then(() => dropped = true);
  // Each byte is correct and comes soon; all of them take longer than the deadline.
  const bytes = concat([encodePreface(), frame(wire.HELLO, 0, new Uint8Array(wire.HELLO_LENGTH))]);
  for (const byte of bytes.subarray(0, -1)) {
    if (dropped) break;
    await shout(slow, Uint8Array.of(byte));
    await delay(systemClock, 10);
  }
  await Promise.all([silent, gone]);
  assertEquals(sessions.length, 0);
  await server.close();
});

Deno.test("a GOAWAY of any code and text ends the session, and its text is made printable", async () => {
  const { server, intruder } = listeningEnd();
  const { pipe, session } = await intruder();
  await shout(pipe, frame(wire.GOAWAY, 0, code(4711, "bye\x1b[31m")));
  const error = await session.ended;
  assertEquals([error?.code, error?.message], [
    "ended-by-peer",
    "The other end ended the session: bye?[31m",
  ]);
  await server.close();
});
