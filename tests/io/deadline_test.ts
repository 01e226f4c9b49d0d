import { assertEquals, assertRejects } from "@std/assert";
import { abortable, afterStall } from "../../src/io/mod.ts";
import { ManualClock } from "../support/manual_clock.ts";

Deno.test("an aborted signal ends the wait, whether aborted before or meanwhile", async () => {
  const late = new AbortController();
  const waiting = assertRejects(() => abortable(new Promise(() => {}), late.signal), Error, "over");
  late.abort(new Error("over"));
  await waiting;
  await assertRejects(() => abortable(Promise.resolve(1), late.signal), Error, "over");
  assertEquals(await abortable(Promise.resolve(1), new AbortController().signal), 1);
});

Deno.test("a failure after the wait was aborted is not an unhandled rejection", async () => {
  const over = AbortSignal.abort(new Error("over"));
  const failing = Promise.reject(new Error("unhandled, it would end the process"));
  await assertRejects(() => abortable(failing, over), Error, "over");
  await new Promise((resolve) => setTimeout(resolve, 0));
});

Deno.test("a stall is found on time, an eighth late at most after progress", async () => {
  const clock = new ManualClock();
  const ends: string[] = [];
  let moved = 0;
  afterStall(clock, 8_000, () => 0, () => ends.push(`plain ${clock.now()}`));
  afterStall(clock, 8_000, () => moved, () => ends.push(`renewed ${clock.now()}`));
  afterStall(clock, 8_000, () => 0, () => ends.push("cancelled"))();
  await clock.advance(7_999);
  assertEquals(ends, []);
  moved++;
  await clock.advance(1);
  assertEquals(ends, ["plain 8000"]);
  await clock.advance(60_000);
  assertEquals(ends, ["plain 8000", "renewed 16000"]);
  assertEquals(clock.armed, 0);
});
