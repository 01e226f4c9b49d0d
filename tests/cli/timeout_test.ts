import { assertEquals } from "@std/assert";
import { MigrationTimeout, parseTimeoutAction } from "../../src/cli/args/timeout.ts";
import { ManualClock } from "../support/manual_clock.ts";

Deno.test("a timeout that is set anew counts from then on, with the action that holds when it is over", async () => {
  const clock = new ManualClock();
  const fired: string[] = [];
  using timeout = new MigrationTimeout(clock, 1000, "abort", (action, message) => {
    fired.push(`${action}: ${message}`);
  });
  await clock.advance(900);
  timeout.set({ timeoutMs: 5000, timeoutAction: "pause" });
  assertEquals([timeout.leftMs, timeout.action], [5000, "pause"]);
  await clock.advance(4999);
  assertEquals(fired, []);
  await clock.advance(1);
  assertEquals(fired, ["pause: Not done within 5 s"]);
  assertEquals(timeout.leftMs, null);
});

Deno.test("a timeout of 0 is none, and lifts the one before", async () => {
  const clock = new ManualClock();
  const fired: string[] = [];
  using timeout = new MigrationTimeout(clock, 0, "abort", (action) => fired.push(action));
  assertEquals(timeout.leftMs, null);
  timeout.set({ timeoutMs: 1000 });
  timeout.set({ timeoutMs: 0 });
  await clock.advance(10_000);
  assertEquals(fired, []);
});

Deno.test("the old name of the action is taken", () => {
  assertEquals(["abort", "pause", "suspend", "stop"].map(parseTimeoutAction), [
    ...["abort", "pause", "pause", undefined],
  ]);
});
