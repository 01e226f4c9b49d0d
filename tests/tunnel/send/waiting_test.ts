import { assertEquals } from "@std/assert";
import { ManualClock } from "../../support/manual_clock.ts";
import type { Connection } from "../../../src/tunnel/connection/connection.ts";
import { ConnectionSlot } from "../../../src/tunnel/connection/slot.ts";
import * as limits from "../../../src/tunnel/limits.ts";
import { Acknowledger } from "../../../src/tunnel/receive/acknowledger.ts";
import { FlightCap } from "../../../src/tunnel/send/flight.ts";
import { OutFrame } from "../../../src/tunnel/send/out_frame.ts";
import { Outbound } from "../../../src/tunnel/send/outbound.ts";
import { Pacer } from "../../../src/tunnel/send/pacer.ts";
import { ReplayBuffer } from "../../../src/tunnel/send/replay.ts";
import { SendQueue } from "../../../src/tunnel/send/send_queue.ts";
import type { TunnelStream } from "../../../src/tunnel/stream/stream.ts";

const FRAME = 250_000;

/** The sending half of a session whose one stream always has a frame, on a connection of 20 ms. */
class Sending {
  readonly #clock = new ManualClock();
  /** What a queue asks of its connection; `writingForMs` is that of the write that is under way. */
  readonly connection = { rttMs: 20, writingForMs: 0, delaysSmallWrites: false, wake() {} };
  readonly queue: SendQueue;
  readonly #outbound: Outbound;
  #received = 0;

  constructor() {
    const clock = this.#clock;
    const slot = new ConnectionSlot();
    const rpc = { takeFrame: () => undefined } as unknown as TunnelStream;
    const replay = new ReplayBuffer();
    const flight = new FlightCap(limits.IN_FLIGHT);
    this.queue = new SendQueue({
      host: { rpc, openStreams: 1, mayEnd: () => false },
      ...{ clock, slot, replay, flight, pacer: new Pacer() },
      peerMaxData: limits.MAX_DATA,
    });
    const acks = new Acknowledger(clock, slot);
    const queue = this.queue;
    this.#outbound = new Outbound({
      ...{ queue, acks, slot, clock, replay, flight, onProgress: () => {} },
    });
    slot.put(this.connection as unknown as Connection);
    queue.readyToSend(
      {
        id: 1,
        deficit: undefined,
        nextFrameLength: FRAME,
        takeFrame: () => new OutFrame(new Uint8Array(FRAME), undefined, FRAME),
      } as unknown as TunnelStream,
    );
  }

  /** Sends up to `count` frames; the peer has acknowledged those of the last call after `ms`. */
  async round(count: number, ms: number): Promise<void> {
    const end = this.#outbound.acknowledged + this.#outbound.inFlight;
    for (let i = 0; i < count && this.#outbound.next() !== undefined; i++);
    await this.#clock.advance(ms);
    if (end > this.#received) this.#outbound.acked(this.#received = end);
  }

  async rounds(count: number, frames: number, ms: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.round(frames, ms);
  }
}

Deno.test("nothing waits for a connection that delivers within its round trip", async () => {
  const sending = new Sending();
  await sending.rounds(40, 2, 20);
  assertEquals([sending.queue.waitingRate, sending.queue.alwaysWaits], [undefined, false]);
});

Deno.test("bytes wait for a connection that delivers far later than its round trip", async () => {
  const sending = new Sending();
  await sending.rounds(40, 2, 60);
  assertEquals(Math.round(sending.queue.waitingRate!), Math.round(2 * FRAME / 60));
  assertEquals(sending.queue.alwaysWaits, true);
});

Deno.test("bytes wait for a connection whose writes are slow", async () => {
  const sending = new Sending();
  sending.connection.writingForMs = limits.BLOCKED_MS;
  await sending.rounds(40, 2, 20);
  assertEquals(Math.round(sending.queue.waitingRate!), 2 * FRAME / 20);
  assertEquals(sending.queue.alwaysWaits, true);
});

Deno.test("bytes wait for a limit of the bandwidth", async () => {
  const sending = new Sending();
  sending.queue.setBandwidth(10_000_000);
  await sending.rounds(40, 4, 20);
  assertEquals(Math.round(sending.queue.waitingRate! / 1000), 10);
  assertEquals(sending.queue.alwaysWaits, true);
});
