import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { AnsweredPings } from "../../../src/domain/destination/keepalive.ts";
import { type BytePipe, readFull, writeAll } from "../../../src/io/mod.ts";
import { pong, REMOTE_PROGRAM } from "../../../src/libvirt/mod.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

/** A message with a body, of that procedure. */
function message(procedure: number, bodyBytes = 0, program = REMOTE_PROGRAM): Uint8Array {
  const bytes = new Uint8Array(28 + bodyBytes).fill(procedure, 28);
  const view = new DataView(bytes.buffer);
  [bytes.length, program, 1, procedure, 0, 7, 0].forEach((word, i) => view.setUint32(4 * i, word));
  return bytes;
}

const ping = () => message(1, 0, 0x6b656570);

async function exactly(pipe: BytePipe, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await readFull(pipe, bytes);
  return bytes;
}

Deno.test("a ping of libvirtd is answered at its host and reaches no client", async () => {
  const [daemon, near] = memoryPipe();
  const pipe = new AnsweredPings(near);
  const [first, second] = [message(60, 10), message(1, 3)];
  const sent = concat([first, ping(), second, ping()]);
  // Whatever the sizes in which the bytes come.
  for (let at = 0; at < sent.length; at += 5) await writeAll(daemon, sent.subarray(at, at + 5));
  assertEquals(
    await exactly(pipe, first.length + second.length),
    concat([first, second]),
  );
  const more = message(2);
  await writeAll(daemon, more);
  assertEquals(await exactly(pipe, more.length), more);
  assertEquals(await exactly(daemon, 56), concat([pong(), pong()]));
  pipe.close();
});

Deno.test("an answer waits for the end of the client's message", async () => {
  const [daemon, near] = memoryPipe();
  const pipe = new AnsweredPings(near);
  const call = message(306, 100);
  await writeAll(pipe, call.subarray(0, 40));
  await writeAll(daemon, concat([ping(), message(5)]));
  await exactly(pipe, 28);
  await writeAll(pipe, call.subarray(40));
  assertEquals(await exactly(daemon, call.length + 28), concat([call, pong()]));
  pipe.close();
});

Deno.test("bytes that are no messages of libvirt pass as they are", async () => {
  const [daemon, near] = memoryPipe();
  const pipe = new AnsweredPings(near);
  const foreign = new Uint8Array(100).fill(255);
  await writeAll(daemon, foreign);
  assertEquals(await exactly(pipe, 100), foreign);
  await writeAll(pipe, foreign);
  assertEquals(await exactly(daemon, 100), foreign);
  pipe.close();
});
