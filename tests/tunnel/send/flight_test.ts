import { assert, assertEquals } from "@std/assert";
import { FlightCap } from "../../../src/tunnel/send/flight.ts";
import * as limits from "../../../src/tunnel/limits.ts";

const MiB = 1024 * 1024;
const FRAME = 64 * 1024;

/** A link that holds what is under way for `rttMs` and lets `rate` bytes pass a millisecond. */
class SimulatedLink {
  readonly cap: FlightCap;
  rate: number;
  readonly #rttMs: number;
  #now = 0;
  #sent = 0;
  #acked = 0;
  /** When each frame under way will have been acknowledged. */
  #underWay: number[] = [];
  #freeAt = 0;

  constructor(rate: number, rttMs: number, most = limits.IN_FLIGHT) {
    this.cap = new FlightCap(most);
    this.rate = rate;
    this.#rttMs = rttMs;
  }

  /**
   * Sends for `ms` as much as the cap and `offered`, bytes a millisecond, allow.
   *
   * @returns bytes acknowledged a millisecond.
   */
  run(ms: number, offered = Infinity): number {
    const until = this.#now + ms;
    const before = this.#acked;
    const start = this.#now;
    const sentBefore = this.#sent;
    while (this.#now < until) {
      this.#now += 0.1;
      while (this.#underWay.length > 0 && this.#underWay[0]! <= this.#now) {
        this.#underWay.shift();
        this.#acked += FRAME;
        this.cap.acked(this.#acked, this.#sent, this.#rttMs, this.#now);
      }
      while ((this.#sent - sentBefore) < offered * (this.#now - start)) {
        if (this.#sent - this.#acked + FRAME > this.cap.bytes) {
          this.cap.limited();
          break;
        }
        this.#freeAt = Math.max(this.#now, this.#freeAt) + FRAME / this.rate;
        this.#underWay.push(this.#freeAt + this.#rttMs);
        this.#sent += FRAME;
      }
    }
    return (this.#acked - before) / ms;
  }

  /** How long a byte waits that is sent now, beyond the round trip, ms. */
  get queueMs(): number {
    return Math.max(0, this.#freeAt - this.#now);
  }
}

for (
  const [name, rate, rttMs] of [
    ["1 Gbit/s, 1 ms", 125_000, 1],
    ["1 Gbit/s, 50 ms", 125_000, 50],
    ["1 Gbit/s, 100 ms", 125_000, 100],
    ["10 Gbit/s, 20 ms", 1_250_000, 20],
    ["loopback", 1_000_000, 0.2],
  ] as const
) {
  Deno.test(`the cap grows until the connection is full: ${name}`, () => {
    const link = new SimulatedLink(rate, rttMs);
    link.run(20 * rttMs + 100);
    const share = link.run(1000) / rate;
    assert(share > 0.97, `${(share * 100).toFixed(1)} % of the bandwidth`);
    const most = Math.max(2.2 * rate * rttMs, limits.QUEUE_BYTES);
    assert(link.cap.bytes <= most, `${link.cap.bytes} bytes under way, expected ${most} at most`);
  });
}

Deno.test("bytes in flight on a slow connection do not delay others for long", () => {
  const link = new SimulatedLink(5_000, 10); // 5 MB/s
  const share = link.run(5000) / 5_000;
  assert(share > 0.95, `${share} of the bandwidth`);
  assert(link.cap.bytes <= 300_000, `${link.cap.bytes} bytes`);
  assert(link.queueMs < 60, `${link.queueMs} ms in the queue`);
});

Deno.test("the cap falls when a connection becomes slower and rises when it becomes faster", () => {
  const link = new SimulatedLink(125_000, 20);
  link.run(1000);
  const before = link.cap.bytes;
  link.rate = 12_500;
  link.run(5000);
  assert(link.cap.bytes < before / 4, `${before}, then ${link.cap.bytes}`);
  link.rate = 125_000;
  link.run(1000);
  const share = link.run(1000) / 125_000;
  assert(share > 0.97, `${share} of the bandwidth`);
});

Deno.test("a sender with little to send does not lower the cap", () => {
  const link = new SimulatedLink(125_000, 50);
  link.run(2000);
  const before = link.cap.bytes;
  link.run(5000, 1_000);
  assertEquals(link.cap.bytes, before);
});

Deno.test("a sender with little to send at first gets the full cap later", () => {
  const link = new SimulatedLink(125_000, 50);
  link.run(2000, 100);
  assertEquals(link.cap.bytes, limits.FIRST_IN_FLIGHT);
});

Deno.test("a first round trip that is too long does not leave the cap too high", () => {
  const cap = new FlightCap(limits.IN_FLIGHT);
  const rate = 1_000_000; // bytes per ms, never held back
  let sent = 0;
  const rounds = (count: number, rttMs: number, from: number) => {
    for (let i = 0; i < count; i++) {
      const now = from + i * limits.SHORTEST_ROUND_MS;
      const acked = sent;
      sent += rate * limits.SHORTEST_ROUND_MS;
      cap.acked(acked, sent, rttMs, now);
    }
  };
  rounds(10, 5, 0);
  assertEquals(cap.bytes, 2 * rate * 5);
  rounds(10, 0.2, 1000);
  assertEquals(cap.bytes, limits.QUEUE_BYTES);
});

Deno.test("the cap never exceeds its upper bound", () => {
  const link = new SimulatedLink(1_250_000, 100, 3 * MiB);
  link.run(3000);
  assertEquals(link.cap.bytes, 3 * MiB);
});

Deno.test("a new connection measures anew and keeps the old cap if that was higher", () => {
  const link = new SimulatedLink(125_000, 50);
  link.run(2000);
  const before = link.cap.bytes;
  link.cap.restart();
  assertEquals(link.cap.bytes, before);
  const slow = new SimulatedLink(5_000, 1);
  slow.run(2000);
  slow.cap.restart();
  assertEquals(slow.cap.bytes, limits.FIRST_IN_FLIGHT);
});

Deno.test("several frames fit under any cap", () => {
  const slow = new SimulatedLink(1_000, 1);
  slow.run(5000);
  assert(slow.cap.frameBytes * 4 <= slow.cap.bytes);
});

Deno.test("the rate is that of rounds with bulk, whether acknowledgements come evenly or in bursts", () => {
  const cap = new FlightCap(64 << 20);
  assertEquals(cap.rate, undefined);
  let [now, acked] = [0, 0];
  const round = (ms: number, bytes: number) => {
    [now, acked] = [now + ms, acked + bytes];
    cap.limited();
    cap.acked(acked, acked, 20, now);
  };
  round(0, 0);
  round(20, 1000);
  assertEquals(cap.rate, undefined, "a few bytes say nothing");
  for (let i = 0; i < 32; i++) {
    round(38, 400_000);
    round(2, 600_000);
  }
  assertEquals(Math.round(cap.rate! / 5000), 5, "25 KB a ms");
  cap.restart();
  assertEquals(cap.rate, undefined);
});

Deno.test("the time before the first bytes of a burst does not lower the rate", () => {
  const cap = new FlightCap(64 << 20);
  let [now, sent] = [0, 0];
  for (let burst = 0; burst < 10; burst++) {
    for (let i = 0; i < 10; i++) {
      sent += 200_000;
      cap.acked(sent, i < 9 ? sent + 200_000 : sent, 1, now);
      now += 4;
    }
    now += 500;
  }
  assertEquals(cap.rate, 50_000);
});

Deno.test("bytes are held when they waited nearly all of the time", () => {
  const cap = new FlightCap(64 << 20);
  let [now, acked] = [0, 0];
  const rounds = (count: number, held: (i: number) => boolean) => {
    for (let i = 0; i < count; i++) {
      if (held(i)) cap.held();
      [now, acked] = [now + 10, acked + 200_000];
      cap.acked(acked, acked + 200_000, 1, now);
    }
  };
  rounds(100, () => true);
  assertEquals(cap.isHeld, true);
  rounds(100, (i) => i % 4 !== 0);
  assertEquals(cap.isHeld, false);
  rounds(100, () => true);
  assertEquals(cap.isHeld, true);
});

/** Rounds of 1 MB that the cap does not limit, each acknowledged after `tookMs`. */
function unlimitedRounds(cap: FlightCap, tookMs: number, isEmpty = false, count = 40): void {
  const bytes = 1_000_000;
  for (let [i, now, acked] = [0, 0, 0]; i < count; i++) {
    cap.acked(acked, isEmpty ? acked : acked + bytes, 20, now);
    [now, acked] = [now + tookMs, acked + bytes];
  }
}

Deno.test("bytes that windows hold back wait for a connection whose queues are long", () => {
  const queued = new FlightCap(64 << 20);
  unlimitedRounds(queued, 60);
  assertEquals([queued.isQueued, queued.isHeld], [true, true]);
  const quick = new FlightCap(64 << 20);
  unlimitedRounds(quick, 40);
  assertEquals([quick.isQueued, quick.isHeld], [false, false]);
});

Deno.test("a round that begins with nothing in flight is not queued, however long it takes", () => {
  const cap = new FlightCap(64 << 20);
  unlimitedRounds(cap, 500, true);
  assertEquals([cap.isQueued, cap.rate], [false, undefined]);
});

Deno.test("a burst at the start does not leave the cap too high for a flow that windows limit", () => {
  const cap = new FlightCap(64 << 20);
  cap.acked(0, 2_000_000, 20, 0);
  cap.acked(2_000_000, 3_000_000, 20, 10);
  const burst = cap.bytes;
  let [now, acked] = [10, 2_000_000];
  for (let i = 0; i < 10; i++) {
    [now, acked] = [now + 75, acked + 1_850_000];
    cap.acked(acked, acked + 1_850_000, 20, now);
  }
  assert(cap.bytes < burst / 3, `${cap.bytes} bytes after ${burst}`);
});

Deno.test("a delay that is not the sender's queue does not take the cap below its first value", () => {
  const cap = new FlightCap(64 << 20);
  for (let [i, now, acked] = [0, 0, 0]; i < 40; i++) {
    cap.acked(acked, acked + 250_000, 0.2, now);
    [now, acked] = [now + 30, acked + 250_000];
  }
  assertEquals([cap.bytes, cap.isQueued], [limits.FIRST_IN_FLIGHT, true]);
});

Deno.test("time without anything to send is not the connection's, however the last bytes went", () => {
  // Everything is acknowledged within less than the shortest round.
  const quick = new FlightCap(64 << 20);
  quick.acked(0, 200_000, 0.2, 0);
  quick.acked(200_000, 400_000, 0.2, 4);
  quick.acked(400_000, 400_000, 0.2, 5);
  quick.acked(600_000, 800_000, 0.2, 505);
  assertEquals(quick.rate, undefined);
  assertEquals(quick.isHeld, false);
  // The next burst is larger than the cap.
  const large = new FlightCap(64 << 20);
  large.acked(0, 200_000, 0.2, 0);
  large.acked(200_000, 200_000, 0.2, 4);
  large.limited();
  large.acked(400_000, 2_200_000, 0.2, 504);
  assertEquals(large.rate, undefined);
});

Deno.test("a pause of the process is forgotten within a fifth of a second", () => {
  const cap = new FlightCap(64 << 20);
  let [now, acked] = [0, 0];
  const rounds = (count: number, ms: number) => {
    for (let i = 0; i < count; i++) {
      cap.acked(acked, acked + 400_000, 0.2, now);
      [now, acked] = [now + ms, acked + 400_000];
    }
  };
  rounds(100, 4);
  rounds(1, 3000);
  rounds(1, 4);
  assertEquals(cap.isQueued, false, "one long round says nothing");
  rounds(50, 4);
  assert(cap.rate! > 50_000, `${cap.rate} bytes a ms`);
});

Deno.test("a new connection has no queue and no rate", () => {
  const cap = new FlightCap(64 << 20);
  unlimitedRounds(cap, 60);
  assertEquals([cap.isQueued, cap.isHeld, cap.rate !== undefined], [true, true, true]);
  cap.restart();
  assertEquals([cap.isQueued, cap.rate], [false, undefined]);
  unlimitedRounds(cap, 40, false, 3);
  assertEquals(cap.isHeld, false);
});
