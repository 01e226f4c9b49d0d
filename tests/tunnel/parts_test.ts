import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/tunnel/errors.ts";
import { OutFrame } from "../../src/tunnel/send/out_frame.ts";
import { PacedTurn } from "../../src/tunnel/send/paced_turn.ts";
import { Pacer } from "../../src/tunnel/send/pacer.ts";
import { ReplayBuffer } from "../../src/tunnel/send/replay.ts";
import { Scheduler } from "../../src/tunnel/send/scheduler.ts";
import { ManualClock } from "../support/manual_clock.ts";

/** A frame of so many bytes that tells when its buffer is free. */
function frameOf(length: number, release?: () => void): OutFrame {
  return new OutFrame(new Uint8Array(length), release && { release });
}

function replayOf(...lengths: number[]): { replay: ReplayBuffer; freed: number[] } {
  const replay = new ReplayBuffer();
  const freed: number[] = [];
  lengths.forEach((n, i) => {
    replay.push(frameOf(n, () => freed.push(i)));
    replay.takeNext();
  });
  return { replay, freed };
}

Deno.test("an acknowledgement releases whole frames, once, in order", () => {
  const { replay, freed } = replayOf(10, 20, 30);
  assertEquals(replay.inFlight, 60);
  assertEquals(replay.ack(30), true);
  assertEquals(freed, [0, 1]);
  assertEquals(replay.ack(30), false);
  assertEquals(replay.ack(10), false);
  assertEquals(freed, [0, 1]);
  assertEquals(replay.inFlight, 30);
});

Deno.test("without replay a frame is released, once, when the next one is taken", () => {
  const replay = new ReplayBuffer(false);
  const freed: number[] = [];
  for (const n of [10, 20, 30]) replay.push(frameOf(n, () => freed.push(n)));
  replay.takeNext();
  assertEquals(freed, []);
  replay.takeNext();
  assertEquals(freed, [10]);
  replay.takeNext();
  assertEquals(freed, [10, 20]);
  assertEquals(replay.inFlight, 60);
  replay.ack(60);
  assertEquals(freed, [10, 20, 30]);
});

Deno.test("an acknowledgement beyond what was sent, or inside a frame, is a fault", () => {
  assertThrows(() => replayOf(10).replay.ack(11), ProtocolError, "only 10 were sent");
  assertThrows(() => replayOf(10, 10).replay.ack(15), ProtocolError, "inside a frame");
  const { replay } = replayOf(10);
  replay.push(frameOf(5));
  assertThrows(() => replay.ack(15), ProtocolError, "only 10 were sent");
});

Deno.test("after a rewind the rest is sent again in the same order", () => {
  const { replay } = replayOf(10, 20, 30);
  replay.rewind(10);
  replay.push(frameOf(40));
  const lengths = [];
  while (replay.hasNext) lengths.push(replay.takeNext()!.length);
  assertEquals(lengths, [20, 30, 40]);
  assertThrows(() => replay.rewind(5), ProtocolError, "acknowledged 10");
});

Deno.test("a replay buffer keeps nothing of thousands of acknowledged frames", () => {
  const { replay, freed } = replayOf();
  for (let i = 0; i < 10_000; i++) {
    replay.push(frameOf(1, () => freed.push(i)));
    replay.takeNext();
    if (i % 7 === 0) replay.ack(i + 1);
  }
  replay.ack(10_000);
  assertEquals(freed.length, 10_000);
  assertEquals(replay.inFlight, 0);
});

class Source {
  deficit: number | undefined;
  constructor(public name: string, public frames: number[]) {}
  get nextFrameLength(): number {
    return this.frames[0] ?? 0;
  }
}

Deno.test("streams with small and large frames get the same number of bytes", () => {
  const scheduler = new Scheduler<Source>(1000);
  const small = new Source("small", Array(4000).fill(100));
  const large = new Source("large", Array(400).fill(1000));
  scheduler.ready(small);
  scheduler.ready(large);
  const sent = { small: 0, large: 0 } as Record<string, number>;
  for (let i = 0; i < 2200; i++) {
    const source = scheduler.next()!;
    const length = source.frames.shift()!;
    scheduler.sent(source, length);
    sent[source.name]! += length;
  }
  assertEquals(Math.abs(sent.small! - sent.large!) <= 2000, true, JSON.stringify(sent));
});

Deno.test("a stream that is removed or has nothing to send gets no turn", () => {
  const scheduler = new Scheduler<Source>(1000);
  assertEquals(scheduler.next(), undefined);
  const a = new Source("a", [10]);
  const b = new Source("b", [10]);
  scheduler.ready(a);
  scheduler.ready(a);
  scheduler.ready(b);
  scheduler.remove(a);
  assertEquals(scheduler.next()?.name, "b");
  b.frames = [];
  assertEquals(scheduler.next(), undefined);
});

Deno.test("the pacer passes the rate plus one frame a second at most", () => {
  const pacer = new Pacer();
  pacer.setRate(1_000_000, 0);
  let sent = 0;
  let now = 0;
  while (now < 1000) {
    const wait = pacer.wait(now);
    if (wait > 0) now += wait;
    else {
      pacer.spend(65536);
      sent += 65536;
    }
  }
  assertEquals(sent >= 950_000 && sent <= 1_100_000, true, `${sent}`);
});

Deno.test("the pacer without a rate delays nothing", () => {
  const pacer = new Pacer();
  pacer.spend(1e12);
  assertEquals(pacer.wait(0), 0);
});

Deno.test("queues that share a pacer take turns, whichever of them looks first", async () => {
  const clock = new ManualClock();
  const pacer = new Pacer();
  pacer.setRate(1_000_000, 0);
  const sent = [0, 0, 0];
  const turns = sent.map(() => new PacedTurn({ pacer, clock, onTurn: () => sendAll() }));
  // The first queue looks first, each time.
  const sendAll = () => {
    for (const [i, turn] of turns.entries()) {
      while (!turn.waits && turn.take(10_000)) sent[i]! += 10_000;
    }
  };
  sendAll();
  await clock.advance(3000);
  const total = sent.reduce((sum, n) => sum + n, 0);
  assert(total >= 2_950_000 && total <= 3_050_000, `${total}`);
  for (const n of sent) assert(Math.abs(n - total / 3) <= 20_000, sent.join());
});

Deno.test("a frame that waits is counted once, by its length when it goes out", async () => {
  const clock = new ManualClock();
  const pacer = new Pacer();
  pacer.setRate(1000, 0);
  let turns = 0;
  const turn = new PacedTurn({ pacer, clock, onTurn: () => turns++ });
  assertEquals([turn.take(1000), turn.take(10), turn.waits], [true, false, true]);
  await clock.advance(999);
  assertEquals(turns, 0);
  await clock.advance(1);
  assertEquals([turns, turn.waits, turn.take(500)], [1, false, true]);
  assertEquals(pacer.wait(clock.now()), 500);
  turn.take(1);
  assertEquals(turn.waits, true);
  turn.reset();
  pacer.setRate(1000, clock.now());
  assertEquals([turn.waits, turn.take(1), clock.armed], [false, true, 0]);
});
