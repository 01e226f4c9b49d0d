import { assert, assertEquals, assertMatch } from "@std/assert";
import { type BytePipe, silentLogger } from "../../../src/io/mod.ts";
import { connectSession } from "../../../src/tunnel/connect.ts";
import { Grace } from "../../../src/tunnel/grace.ts";
import { SessionServer } from "../../../src/tunnel/serve.ts";
import type { Session } from "../../../src/tunnel/session.ts";
import { pattern } from "../../support/bytes.ts";
import { hurriedClock, memoryNetwork } from "../../support/cutting.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const MS = 60_000;
const DEAD = new Error("dead");
const SILENT = { heardLate: false, silent: true };
const PINGED = { heardLate: true, silent: false };

function graceOf(numbers: { inFlight: number; received: number }) {
  const clock = new ManualClock();
  const ends: string[] = [];
  const grace = new Grace({
    clock,
    ms: MS,
    inFlight: () => numbers.inFlight,
    received: () => numbers.received,
    onOver: (reason) => ends.push(reason),
  });
  grace.attached();
  return { clock, grace, ends };
}

Deno.test("a connection that carries no acknowledged byte does not renew the grace", async () => {
  const { clock, grace, ends } = graceOf({ inFlight: 100_000, received: 0 });
  for (let i = 0; i < 4; i++) {
    grace.lost(PINGED, DEAD, MS);
    await clock.advance(100);
    grace.attached();
    await clock.advance(14_900);
  }
  assertEquals(ends, []);
  grace.lost(PINGED, DEAD, MS);
  await clock.advance(0);
  assertEquals(ends.length, 1);
  assertMatch(ends[0]!, /5 in a row that carried nothing within 60 s\. Small packets pass .*MTU/);
});

Deno.test("one acknowledged byte renews the grace", async () => {
  const { clock, grace, ends } = graceOf({ inFlight: 100_000, received: 0 });
  for (let i = 0; i < 20; i++) {
    grace.lost(PINGED, DEAD, MS);
    await clock.advance(50_000);
    assertEquals(grace.leftMs, 10_000);
    grace.attached();
    grace.renew();
    await clock.advance(15_000);
  }
  assertEquals(ends, []);
  assertEquals(grace.hint, undefined);
});

Deno.test("a connection that does not come back ends the session after the grace, without a hint at the MTU", async () => {
  const { clock, grace, ends } = graceOf({ inFlight: 100_000, received: 0 });
  grace.lost(SILENT, DEAD, MS);
  await clock.advance(MS - 1);
  assertEquals(ends, []);
  await clock.advance(1);
  assertEquals(ends, ["The connection was lost (dead) and did not come back within 60 s"]);
});

Deno.test("an idle session survives a day of connections that come and go", async () => {
  const { clock, grace, ends } = graceOf({ inFlight: 0, received: 0 });
  for (let i = 0; i < 1440; i++) {
    grace.lost(PINGED, DEAD, MS);
    await clock.advance(20_000);
    grace.attached();
    await clock.advance(5_000);
    grace.heardLate();
    await clock.advance(35_000);
  }
  assertEquals(ends, []);
  assertEquals(grace.hint, undefined);
});

Deno.test("pings do not renew the grace of an end whose data is not acknowledged", async () => {
  const { clock, grace, ends } = graceOf({ inFlight: 1, received: 0 });
  grace.lost(PINGED, DEAD, MS);
  await clock.advance(1000);
  grace.attached();
  grace.heardLate();
  await clock.advance(59_000);
  grace.lost(PINGED, DEAD, MS);
  await clock.advance(0);
  assertEquals(ends.length, 1);
});

Deno.test("the end that only receives gives up, too, and names the MTU", async () => {
  const { clock, grace, ends } = graceOf({ inFlight: 0, received: 500 });
  for (let i = 0; i < 4; i++) {
    grace.lost(SILENT, DEAD, MS);
    await clock.advance(1000);
    grace.attached();
    await clock.advance(15_000);
  }
  grace.lost(SILENT, DEAD, MS);
  await clock.advance(0);
  assertEquals(ends.length, 1);
  assertMatch(ends[0]!, /carried nothing after the handshake\. Check the MTU/);
});

/** Passes small writes until one is large: it and all behind it vanish, as TCP has it. */
class BlackHole implements BytePipe {
  #blocked = false;
  constructor(readonly inner: BytePipe) {}
  read(into: Uint8Array): Promise<number | null> {
    return this.inner.read(into);
  }
  write(from: Uint8Array): Promise<number> {
    this.#blocked ||= from.length > 1400;
    return this.#blocked ? Promise.resolve(from.length) : this.inner.write(from);
  }
  closeWrite(): Promise<void> {
    return this.inner.closeWrite();
  }
  close(): void {
    this.inner.close();
  }
}

Deno.test("a path that drops large packets ends both ends within the grace with a hint at the MTU", async () => {
  const network = memoryNetwork();
  const common = {
    local: { secret: pattern(32, 9), graceMs: MS, version: "1.0.0" },
    clock: hurriedClock,
    log: silentLogger,
  };
  const accepted = Promise.withResolvers<Session>();
  const server = new SessionServer(network.acceptor, {
    ...common,
    onSession: accepted.resolve,
  });
  const connecting = await connectSession({
    ...common,
    dial: async () => new BlackHole(await network.dial()),
    connectMs: 10_000,
    mayReconnect: true,
  });
  const hints: unknown[] = [];
  connecting.onLink(({ hint }) => hint !== undefined && hints.push(hint));
  const since = hurriedClock.now();
  const stream = connecting.open();
  stream.write(new Uint8Array(50_000)).catch(() => {});
  const [here, there] = await Promise.all([connecting.ended, (await accepted.promise).ended]);
  const took = hurriedClock.now() - since;
  for (const end of [here, there]) assertMatch(String(end), /Check the MTU/);
  assert(hints.length > 0, "the hint comes before the end");
  // Found dead, the grace, found dead once more.
  assert(took <= 2 * 15_000 + MS + 5_000, `took ${took} ms`);
  await server.close();
});
