import { assertEquals } from "@std/assert";
import * as wire from "../../../src/tunnel/wire/layout.ts";
import { concat } from "../../support/bytes.ts";
import { frame, type Heard, listeningEnd, shout, u64 } from "../raw_peer.ts";

const PAYLOAD = 16 * 1024;
const ping = (flags = 0) => frame(wire.PING, 0, new Uint8Array(8), flags);
const soon = ping(wire.FLAG_SOON);
/** Lets the frame of a stream go out that waits for the one before it to be acknowledged. */
const ack = frame(wire.ACK, 0, u64(wire.HEADER_LENGTH + PAYLOAD));

/** What comes back, PONG and DATA, when these frames come in one go to an end that can say no more. */
async function answersTo(...frames: readonly Uint8Array[]): Promise<string[]> {
  const { server, intruder } = listeningEnd(0, 10_000, PAYLOAD + 100);
  const heard: Heard[] = [];
  const { pipe, session, heard: ended } = await intruder(heard);
  const count = (type: number) => heard.filter((h) => h.type === type).length;
  const until = async (done: () => boolean) => {
    const late = performance.now() + 5000;
    while (!done()) {
      if (performance.now() > late) throw new Error(`Only ${JSON.stringify(heard)} was heard`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const stream = session.accept(1);
  for (let i = 0; i < 2; i++) await stream.write(new Uint8Array(PAYLOAD));
  await until(() => count(wire.DATA) === 1);
  const before = heard.length;
  await shout(pipe, concat([...frames]));
  // Whatever they brought about is said before the answer to what comes after it.
  if (frames.includes(ack)) await until(() => count(wire.DATA) === 2);
  else await until(() => count(wire.PONG) === 1);
  const pongs = count(wire.PONG);
  await shout(pipe, ping());
  await until(() => count(wire.PONG) > pongs);
  const answers = heard.slice(before).filter((h) => [wire.PONG, wire.DATA].includes(h.type));
  session.abort("test over", "stopped");
  await ended;
  pipe.close();
  await session.close();
  await server.close();
  return answers.slice(0, -1).map((h) => h.type === wire.PONG ? "PONG" : "DATA");
}

Deno.test("several PINGs at once are answered by one PONG", async () => {
  assertEquals(await answersTo(ping()), ["PONG"]);
  assertEquals(await answersTo(ping(), ping(), ping()), ["PONG"]);
});

Deno.test("PING SOON is answered by PONG if nothing else is sent, but not beside another PING", async () => {
  assertEquals(await answersTo(soon), ["PONG"]);
  assertEquals(await answersTo(ping(), soon), ["PONG"]);
  assertEquals(await answersTo(soon, ping()), ["PONG"]);
});

Deno.test("other bytes answer PING SOON, but not PING", async () => {
  assertEquals(await answersTo(soon, ack), ["DATA"]);
  assertEquals(await answersTo(ping(), ack), ["PONG", "DATA"]);
  assertEquals(await answersTo(soon, ping(), ack), ["PONG", "DATA"]);
});
