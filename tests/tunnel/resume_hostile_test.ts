import { assert, assertEquals, assertRejects } from "@std/assert";
import { type BytePipe, writeAll } from "../../src/io/mod.ts";
import {
  answerHandshake,
  openSession,
  resumeSession,
} from "../../src/tunnel/connection/handshake.ts";
import { SessionError } from "../../src/tunnel/mod.ts";
import * as wire from "../../src/tunnel/wire/layout.ts";
import { pattern } from "../support/bytes.ts";
import { settle } from "../support/manual_clock.ts";
import { memoryPipe } from "../support/memory_pipe.ts";
import { frame, listen, listeningEnd, LOCAL, shout } from "./raw_peer.ts";
import { sessions } from "./session_pair.ts";

const GRACE_MS = 60_000;
const local = { ...LOCAL, graceMs: GRACE_MS };

/** A session with a raw peer, and functions that resume it or expect a refusal. */
async function resumable() {
  const end = listeningEnd(GRACE_MS);
  const { pipe, session, identity, heard } = await end.intruder();
  const resume = async (epoch: number, received = 0, as = identity) => {
    const again = await end.network.dial();
    try {
      const result = await resumeSession(again, local, as, epoch, received);
      return { pipe: again, ...result };
    } catch (error) {
      again.close();
      throw error;
    }
  };
  const refused = async (epoch: number, received: number, message: string, as = identity) => {
    const error = await assertRejects(() => resume(epoch, received, as), SessionError, message);
    assertEquals(error.code, "refused");
  };
  const end_ = async () => {
    session.abort("test over", "stopped");
    await end.server.close();
  };
  return { ...end, pipe, session, identity, heard, resume, refused, end: end_ };
}

Deno.test("a resume of an unknown session, or with another session's key, is refused and ends nothing", async () => {
  const { session, identity, refused, intruder, end } = await resumable();
  await refused(1, 0, "does not know the session", {
    id: new Uint8Array(16).fill(7),
    key: identity.key,
  });
  const other = await intruder();
  await refused(1, 0, "not this session's key", { id: identity.id, key: other.identity.key });
  assertEquals(session.state, "up");
  assertEquals(session.first.epoch, 0);
  other.session.abort("test over", "stopped");
  await end();
});

Deno.test("only an end with the key of a session learns why that has ended", async () => {
  const { session, identity, refused, intruder, server } = await resumable();
  const other = await intruder();
  session.abort("the disk is full", "stopped");
  await session.close();
  await refused(1, 0, "The session has ended: the disk is full");
  const error = await assertRejects(
    () => refused(1, 0, "full", { id: identity.id, key: other.identity.key }),
  );
  assert(/does not know the session/.test(String(error)), String(error));
  other.session.abort("test over", "stopped");
  await server.close();
});

/** A pipe that records its writes. */
function recording(pipe: BytePipe): { readonly pipe: BytePipe; readonly written: Uint8Array[] } {
  const written: Uint8Array[] = [];
  const write = async (from: Uint8Array) => {
    const n = await pipe.write(from);
    written.push(from.slice(0, n));
    return n;
  };
  return { written, pipe: { ...bound(pipe), write } };
}

function bound(pipe: BytePipe): BytePipe {
  return {
    read: (into) => pipe.read(into),
    write: (from) => pipe.write(from),
    closeWrite: () => pipe.closeWrite(),
    close: () => pipe.close(),
  };
}

/** Everything that comes until the other end hangs up, as text. */
async function textOf(pipe: BytePipe): Promise<string> {
  const buffer = new Uint8Array(4096);
  let text = "";
  for (let n; (n = await pipe.read(buffer)) !== null;) {
    text += new TextDecoder().decode(buffer.subarray(0, n));
  }
  return text;
}

Deno.test("a recorded handshake or resume opens nothing when it is replayed", async () => {
  const { server, network, sessions: open, session, identity, end } = await resumable();
  const first = recording(await network.dial());
  await openSession(first.pipe, local);
  const back = recording(await network.dial());
  await resumeSession(back.pipe, local, identity, 1, 0);
  await settle();
  const [known, epoch] = [open.length, session.first.epoch];
  for (const { written } of [first, back]) {
    const again = await network.dial();
    const heard = textOf(again);
    await shout(again, ...written);
    await again.closeWrite();
    const text = await heard;
    assert(/secrets of the two ends are not the same|not this session's key/.test(text), text);
  }
  assertEquals([open.length, session.first.epoch], [known, epoch]);
  for (const one of open) one.abort("test over", "stopped");
  await server.close();
  await end();
});

Deno.test("a resume with an epoch that was used is refused, and the connection in use goes on", async () => {
  const { session, resume, refused, end } = await resumable();
  const second = await resume(5);
  for (const stale of [5, 4, 0]) await refused(stale, 0, "comes after connection 5");
  assertEquals([session.state, session.first.epoch], ["up", 5]);
  await shout(second.pipe, frame(wire.PING, 0, new Uint8Array(8)));
  await end();
});

Deno.test("the newer of two connections takes over, and the older one delivers nothing more", async () => {
  const { pipe, session, resume, heard, end } = await resumable();
  const stream = session.accept(1);
  await shout(pipe, frame(wire.DATA, 1, pattern(100)));
  const buffer = new Uint8Array(200);
  assertEquals(await stream.read(buffer), 100);
  const newer = await resume(1);
  // The number includes the frame, so it is not sent again.
  assertEquals(newer.peerReceived, wire.HEADER_LENGTH + 100);
  await heard;
  await shout(pipe, frame(wire.DATA, 1, new Uint8Array(50)));
  await writeAll(newer.pipe, frame(wire.DATA, 1, pattern(3, 9)));
  assertEquals(await stream.read(buffer), 3);
  assertEquals(buffer.slice(0, 3), pattern(3, 9));
  await end();
});

Deno.test("a resume from beyond what was sent ends the session with that reason", async () => {
  const { session, refused, end } = await resumable();
  await refused(1, 1_000_000, "has 1000000 bytes, but 0 to");
  assertEquals((await session.ended)?.code, "protocol-error");
  await end();
});

Deno.test("a resume from inside a frame, or from before an acknowledgement, ends the session", async () => {
  for (const [acked, received] of [[0, 5], [wire.HEADER_LENGTH + 10, 0]] as const) {
    const { pipe, session, resume, refused, end } = await resumable();
    const stream = session.accept(1);
    await writeAll(stream, pattern(10));
    if (acked > 0) {
      const ack = new Uint8Array(8);
      new DataView(ack.buffer).setBigUint64(0, BigInt(acked));
      while (session.inFlight > 0) {
        await shout(pipe, frame(wire.ACK, 0, ack));
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      await refused(1, received, "can be served");
    } else {
      await resume(1, received).catch(() => {});
    }
    assertEquals((await session.ended)?.code, "protocol-error");
    await end();
  }
});

Deno.test("a replay of other bytes than before ends the session", async () => {
  const { pipe, session, resume, heard, end } = await resumable();
  const stream = session.accept(1);
  // The connection breaks after half of a frame.
  await shout(pipe, frame(wire.DATA, 1, pattern(1000)).subarray(0, 500));
  const buffer = new Uint8Array(2000);
  assert(await stream.read(buffer) !== null);
  pipe.close();
  await heard;
  const again = await resume(1);
  const heardAgain = listen(again.pipe);
  await shout(again.pipe, frame(wire.DATA, 1, pattern(999)));
  assertEquals((await session.ended)?.message.includes("not what was sent before"), true);
  await heardAgain;
  await end();
});

Deno.test("single bytes that nobody reads are kept in few pieces", async () => {
  const { pipe, session, end } = await resumable();
  const stream = session.accept(1);
  const one = frame(wire.DATA, 1, pattern(1));
  const count = 50_000;
  const many = new Uint8Array(one.length * count);
  for (let i = 0; i < count; i++) {
    many.set(one, i * one.length);
    many[i * one.length + wire.HEADER_LENGTH] = i % 251;
  }
  await writeAll(pipe, many);
  while (stream.bytesReceived < count) await new Promise((resolve) => setTimeout(resolve, 0));
  const buffer = new Uint8Array(1 << 20);
  let reads = 0;
  for (let got = 0; got < count; reads++) {
    const n = (await stream.read(buffer))!;
    for (let i = 0; i < n; i++) assertEquals(buffer[i], (got + i) % 251);
    got += n;
  }
  assert(reads < 10, `${reads} pieces`);
  await end();
});

Deno.test("the listening end knows a session before the other end learns that it is open", async () => {
  const { sign } = crypto.subtle;
  // As on a busy machine: a signature takes a turn of the event loop or more.
  crypto.subtle.sign = async (...args) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    return await sign.apply(crypto.subtle, args);
  };
  try {
    const [near, far] = memoryPipe();
    let answered = false;
    let knownAtOnce: Promise<boolean> | undefined;
    const pipe: BytePipe = {
      read: (into) => near.read(into),
      async write(from) {
        const n = await near.write(from);
        knownAtOnce = settle().then(() => answered);
        return n;
      },
      closeWrite: () => near.closeWrite(),
      close: () => near.close(),
    };
    await Promise.all([
      openSession(far, local),
      answerHandshake(pipe, local, sessions()).then(() => answered = true),
    ]);
    assertEquals(await knownAtOnce, true);
  } finally {
    crypto.subtle.sign = sign;
  }
});
