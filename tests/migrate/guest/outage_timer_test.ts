import { assertEquals } from "@std/assert";
import { OutageTimer } from "../../../src/migrate/guest/outage_timer.ts";
import { ManualClock } from "../../support/manual_clock.ts";

function timer() {
  const clock = new ManualClock();
  const calls: number[] = [];
  return { clock, calls, outage: new OutageTimer(clock, () => calls.push(clock.now())) };
}

Deno.test("an outage that is over in time is none", async () => {
  const { clock, calls, outage } = timer();
  outage.changed("down");
  await clock.advance(4999);
  outage.changed("up");
  await clock.advance(10_000);
  assertEquals([calls, clock.armed], [[], 0]);
});

Deno.test("a second connection that is lost does not postpone the call, one that is lost later gets its own", async () => {
  const { clock, calls, outage } = timer();
  const start = clock.now();
  outage.changed("down");
  await clock.advance(4000);
  outage.changed("down");
  await clock.advance(1000);
  assertEquals(calls, [start + 5000]);
  // The first one is still down, so nobody says that all are up.
  outage.changed("down");
  await clock.advance(5000);
  assertEquals(calls, [start + 5000, start + 10_000]);
  outage.stop();
  assertEquals(clock.armed, 0);
});
