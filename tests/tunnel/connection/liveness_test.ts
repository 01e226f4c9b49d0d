import { assert, assertEquals } from "@std/assert";
import type { BytePipe } from "../../../src/io/mod.ts";
import { limits } from "../../../src/tunnel/mod.ts";
import { pattern, readAll } from "../../support/bytes.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { sessionPair } from "../session_pair.ts";

/** A pipe whose bytes can be made to vanish, or to be taken no more, from one moment to the next. */
class Faulty implements BytePipe {
  mode: "well" | "vanishing" | "stuck" = "well";
  #giveUp: (error: Error) => void = () => {};
  constructor(readonly inner: BytePipe) {}
  read(into: Uint8Array): Promise<number | null> {
    return this.inner.read(into);
  }
  write(from: Uint8Array): Promise<number> {
    if (this.mode === "vanishing") return Promise.resolve(from.length);
    if (this.mode === "well") return this.inner.write(from);
    return new Promise((_, reject) => this.#giveUp = reject);
  }
  closeWrite(): Promise<void> {
    return this.inner.closeWrite();
  }
  close(): void {
    this.inner.close();
    this.#giveUp(new Deno.errors.BadResource("closed"));
  }
}

async function faultyPair(graceMs = 0) {
  const clock = new ManualClock();
  const pipes = memoryPipe().map((pipe) => new Faulty(pipe)) as [Faulty, Faulty];
  const pair = await sessionPair({ clock, pipes, graceMs });
  return { ...pair, clock, pipes };
}

Deno.test("the round trip is measured at the start of a connection", async () => {
  let now = 0;
  const clock = { now: () => now += 7, after: () => () => {} };
  const { connecting, listening } = await sessionPair({ clock });
  await settle();
  assert(connecting.rttMs >= 7 && listening.rttMs >= 7, `${connecting.rttMs} ms`);
  connecting.abort("test over", "stopped");
  await listening.ended;
});

Deno.test("a silent peer is found dead 15 s after its last byte, and not long before", async () => {
  const { clock, pipes, connecting, listening } = await faultyPair();
  await clock.advance(60_000);
  assertEquals([connecting.state, listening.state], ["up", "up"]);
  // One way only: this end still hears its peer, the peer hears nothing.
  pipes[0].mode = "vanishing";
  await clock.advance(limits.DEAD_AFTER_MS - limits.PING_AFTER_MS - 1000);
  assertEquals([connecting.state, listening.state], ["up", "up"]);
  await clock.advance(limits.PING_AFTER_MS + 1000);
  assertEquals(
    (await listening.ended)?.message,
    "The connection was lost: The other end sent nothing for 15 s",
  );
  assertEquals((await connecting.ended)?.code, "lost");
  assertEquals(clock.armed, 0);
});

Deno.test("a peer that reads nothing is found dead in 15 s although it keeps sending", async () => {
  const { clock, pipes, connecting, listening } = await faultyPair();
  pipes[0].mode = "stuck";
  const a = connecting.open();
  a.write(pattern(10)).catch(() => {});
  const talk = listening.accept(a.id);
  for (let second = 0; second < 14; second++) {
    await clock.advance(1000);
    await talk.write(pattern(1));
  }
  assertEquals(connecting.state, "up");
  await clock.advance(1000);
  assertEquals(
    (await connecting.ended)?.message,
    "The connection was lost: The other end took no bytes for 15 s",
  );
  await listening.ended;
});

Deno.test("a process that was stopped for ten minutes, or starved for 17 s, does not blame its peer", async () => {
  const { clock, connecting, listening } = await faultyPair();
  const full = connecting.open();
  listening.accept(full.id);
  let standing = true;
  const filling = (async () => {
    while (standing) await full.write(new Uint8Array(65536));
  })().catch(() => {});
  await clock.advance(600_000);
  const busy = connecting.open();
  const other = listening.accept(busy.id);
  const loading = (async () => {
    while (standing) await busy.write(new Uint8Array(1000));
    await busy.closeWrite();
  })();
  const reading = readAll(other);
  for (let second = 0; second < 17; second++) await clock.advance(1000);
  assertEquals([connecting.state, listening.state], ["up", "up"]);
  assertEquals([connecting.connections, listening.connections], [1, 1]);
  standing = false;
  full.reset("cancelled", "test over");
  await clock.advance(1000);
  await Promise.all([filling, loading, reading]);
  connecting.abort("test over", "stopped");
  await clock.advance(0);
  await listening.ended;
});
