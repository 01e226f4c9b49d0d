import { assert, assertEquals } from "@std/assert";
import type { BytePipe, Clock } from "../../../src/io/mod.ts";
import { silentLogger, systemClock, writeAll } from "../../../src/io/mod.ts";
import {
  answerHandshake,
  openSession,
  resumeSession,
} from "../../../src/tunnel/connection/handshake.ts";
import { Session } from "../../../src/tunnel/session.ts";
import type { TunnelStream } from "../../../src/tunnel/stream/stream.ts";
import { pattern, readAll } from "../../support/bytes.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { sessionPair, sessions } from "../session_pair.ts";

const MiB = 2 ** 20;

Deno.test("two ends that write and echo over pipes of 1 KiB do not deadlock", async () => {
  const { connecting, listening } = await sessionPair({ capacity: 1024 });
  const echo = async (stream: TunnelStream) => {
    const buffer = new Uint8Array(65536);
    for (let n; (n = await stream.read(buffer)) !== null;) {
      await writeAll(stream, buffer.slice(0, n));
    }
    await stream.closeWrite();
  };
  const send = async (from: Session, to: Session, seed: number) => {
    const a = from.open();
    const echoing = echo(to.accept(a.id));
    const bytes = pattern(400_000, seed);
    const sending = writeAll(a, bytes).then(() => a.closeWrite());
    assertEquals(await readAll(a), bytes);
    await Promise.all([echoing, sending]);
  };
  await Promise.all([1, 2, 3].flatMap((n) => [
    send(connecting, listening, n),
    send(listening, connecting, n + 10),
  ]));
  assertEquals(await connecting.close(), undefined);
});

/** A pipe that from some time on swallows what is written and hears nothing. */
class Swallowing implements BytePipe {
  swallows = false;
  constructor(readonly inner: BytePipe) {}
  read = async (into: Uint8Array) => {
    const n = await this.inner.read(into);
    return this.swallows ? await new Promise<number | null>((_, no) => this.#fail = no) : n;
  };
  write = (from: Uint8Array) =>
    this.swallows ? Promise.resolve(from.length) : this.inner.write(from);
  closeWrite = () => this.inner.closeWrite();
  #fail: (error: Error) => void = () => {};
  close(): void {
    this.inner.close();
    this.#fail(new Deno.errors.BadResource("closed"));
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

/** The byte of a stream at an offset; cheap, and no short period. */
const byteAt = (offset: number, seed: number) => (offset * 31 + (offset >>> 8) + seed) & 255;

Deno.test("both ends replay 64 MiB at once over a small pipe without an error", async () => {
  const cap = 72 * MiB;
  const capacity = 4096;
  const local = { secret: pattern(32), graceMs: 600_000, version: "1.0.0" };
  // A round trip takes long beside all that follows, which takes no time: windows grow, and the cap on
  // what is in flight stays as it is.
  let now = 0;
  let measured = false;
  const clock: Clock = {
    now: () => now += measured ? 0.02 : 2,
    after: (ms, callback) => ms < 100 ? systemClock.after(ms, callback) : () => {},
  };
  const raw = memoryPipe({ capacity: 4 * MiB });
  const pipes = raw.map((pipe) => new Swallowing(pipe)) as [Swallowing, Swallowing];
  const [opened, answered] = await Promise.all([
    openSession(pipes[0], local),
    answerHandshake(pipes[1], local, sessions()),
  ]);
  assert(answered.kind === "opened");
  const common = {
    graceMs: local.graceMs,
    clock,
    log: silentLogger,
    inFlight: cap,
    firstInFlight: cap,
  };
  const connecting = new Session({ ...common, role: "connecting", ...opened });
  const listening = new Session({ ...common, role: "listening", ...answered });
  connecting.first.attach(pipes[0], 0, 0);
  listening.first.attach(pipes[1], 0, 0);

  const stop = Promise.withResolvers<void>();
  let stopped = false;
  stop.promise.then(() => stopped = true);
  const sender = async (stream: TunnelStream, seed: number) => {
    let offset = 0;
    while (!stopped) {
      const room = await Promise.race([stream.reserve(), stop.promise]);
      if (!room) break;
      for (let i = 0; i < room.length; i++) room[i] = byteAt(offset + i, seed);
      offset += room.length;
      stream.commit(room.length);
      // In memory all of this needs no time at all, and nothing else would have its turn.
      await turn();
    }
    await stream.closeWrite();
    return offset;
  };
  const reader = async (stream: TunnelStream, seed: number) => {
    const buffer = new Uint8Array(256 * 1024);
    let offset = 0;
    for (let n; (n = await stream.read(buffer)) !== null; offset += n) {
      for (let i = 0; i < n; i++) {
        if (buffer[i] !== byteAt(offset + i, seed)) throw new Error(`Wrong byte at ${offset + i}`);
      }
    }
    return offset;
  };
  const streams = Array.from({ length: 8 }, () => {
    const a = connecting.open();
    return [a, listening.accept(a.id)] as const;
  });
  const transfers = Promise.all(streams.flatMap(([a, b], i) => [
    Promise.all([sender(a, i), reader(b, i)]),
    Promise.all([sender(b, i + 100), reader(a, i + 100)]),
  ]));
  transfers.catch(() => {});

  while (connecting.rttMs <= 1 || listening.rttMs <= 1) await turn();
  measured = true;
  while (connecting.bytes < 300 * MiB) await turn();
  for (const pipe of pipes) pipe.swallows = true;
  const inFlight = () => [connecting.inFlight, listening.inFlight] as const;
  for (let [before, still] = [inFlight(), 0]; still < 20; await turn()) {
    const after = inFlight();
    still = before.join() === after.join() ? still + 1 : 0;
    before = after;
  }
  assert(Math.min(...inFlight()) > 64 * MiB, `${inFlight()} bytes in flight`);
  await Promise.all(
    [connecting, listening].map((s) => s.first.detach(new Error("cut by the test"))),
  );
  stop.resolve();

  const [near, far] = memoryPipe({ capacity });
  const [resumed, theirs] = await Promise.all([
    resumeSession(
      near,
      local,
      opened.identity,
      connecting.first.nextEpoch(),
      connecting.first.received,
    ),
    answerHandshake(far, local, sessions(listening.first)),
  ]);
  assert(theirs.kind === "resumed");
  listening.first.attach(far, theirs.peerReceived, theirs.epoch);
  connecting.first.attach(near, resumed.peerReceived, resumed.epoch);
  for (const [sent, received] of await transfers) assertEquals(received, sent);
  assertEquals(await connecting.close(), undefined);
});
