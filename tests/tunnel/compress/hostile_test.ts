import { assert, assertEquals } from "@std/assert";
import { limits } from "../../../src/tunnel/mod.ts";
import * as wire from "../../../src/tunnel/wire/layout.ts";
import { concat, pattern } from "../../support/bytes.ts";
import { frame, listeningEnd, shout } from "../raw_peer.ts";
import { compressed, decompressor, zstd } from "./compressed.ts";

const decompress = await decompressor();
const RAW = pattern(5000);
const data = (payload: Uint8Array, flags = wire.FLAG_COMPRESSED) =>
  frame(wire.DATA, 1, payload, flags);
const cut = zstd(RAW).subarray(0, -9);

/** A fault, the payload of a compressed frame, and a part of the reason that the peer gets. */
const FAULTS: readonly [string, Uint8Array, string][] = [
  ["without a length", new Uint8Array(3), "of 3 bytes"],
  ["without a zstd frame", new Uint8Array(4), "of 4 bytes"],
  ["of no bytes", compressed(0, zstd(RAW)), "expected 1 to 262144"],
  ["of one byte too many", compressed(limits.MAX_RAW + 1, zstd(RAW)), "expected 1 to"],
  ["of four gigabytes", compressed(0xffffffff, zstd(RAW)), "expected 1 to"],
  ["longer than its length", compressed(4999, zstd(RAW)), "not contain 4999"],
  ["shorter than its length", compressed(5001, zstd(RAW)), "gave 5001"],
  ["that expands to 64 MiB", compressed(60000, zstd(new Uint8Array(64 << 20))), "60000"],
  ["that is cut short", compressed(RAW.length, cut), "gave 5000"],
  ["of garbage", compressed(RAW.length, pattern(100)), "5000"],
  ["with bytes behind it", compressed(RAW.length, concat([zstd(RAW), RAW])), "not contain"],
  ["with a window of 512 KiB", compressed(RAW.length, zstd(RAW, 19)), "not contain"],
];

for (const [name, payload, reason] of FAULTS) {
  Deno.test(`a compressed frame ${name} ends the session with that reason`, async () => {
    const { server, intruder } = listeningEnd(0, 10_000, undefined, decompress);
    const { pipe, session, heard } = await intruder();
    const stream = session.accept(1);
    await shout(pipe, data(payload));
    const error = await session.ended;
    assertEquals(error?.code, "protocol-error");
    assert(error!.message.includes(reason), error!.message);
    assertEquals(stream.bytesReceived, 0);
    const goaway = (await heard).find((h) => h.type === wire.GOAWAY);
    assert(goaway?.text.includes(reason), JSON.stringify(goaway));
    await server.close();
  });
}

Deno.test("a compressed frame is counted against the credit before it is decompressed", async () => {
  let calls = 0;
  const counting = (bytes: Uint8Array, length: number) => {
    calls++;
    return decompress(bytes, length);
  };
  const { server, intruder } = listeningEnd(0, 10_000, undefined, counting);
  const { pipe, session, heard } = await intruder();
  const stream = session.accept(1);
  const most = limits.FIRST_WINDOW;
  await shout(pipe, data(compressed(most, zstd(new Uint8Array(most)))));
  await shout(pipe, data(compressed(1, zstd(pattern(1)))));
  const error = await session.ended;
  assert(error!.message.includes(`only ${most} were allowed`), error!.message);
  assertEquals([calls, stream.bytesReceived], [1, most]);
  await heard;
  await server.close();
});

Deno.test("an end that did not offer it rejects a compressed frame", async () => {
  const { server, intruder } = listeningEnd();
  const { pipe, session, heard } = await intruder();
  session.accept(1);
  await shout(pipe, data(compressed(RAW.length, zstd(RAW))));
  const error = await session.ended;
  assert(error!.message.includes("did not offer"), error!.message);
  await heard;
  await server.close();
});

Deno.test("a compressed frame may come byte by byte and end the stream", async () => {
  const { server, intruder } = listeningEnd(0, 10_000, undefined, decompress);
  const { pipe, session, heard } = await intruder();
  const stream = session.accept(1);
  const both = wire.FLAG_COMPRESSED | wire.FLAG_FIN;
  for (const byte of data(compressed(RAW.length, zstd(RAW)), both)) {
    await shout(pipe, Uint8Array.of(byte));
  }
  const into = new Uint8Array(RAW.length + 1);
  let got = 0;
  for (let n; (n = await stream.read(into.subarray(got))) !== null;) got += n;
  assertEquals(into.subarray(0, got), RAW);
  session.abort("test over", "stopped");
  await heard;
  await server.close();
});

Deno.test("a compressed frame for a stream that is over is dropped", async () => {
  const { server, intruder } = listeningEnd(0, 10_000, undefined, () => {
    throw new Error("decompressed for nobody");
  });
  const { pipe, session, heard } = await intruder();
  session.accept(1).reset("cancelled", "not wanted");
  const next = session.accept(3);
  await shout(pipe, data(compressed(RAW.length, zstd(RAW))), frame(wire.DATA, 3, pattern(9)));
  assertEquals(await next.read(new Uint8Array(10)), 9);
  session.abort("test over", "stopped");
  await heard;
  await server.close();
});
