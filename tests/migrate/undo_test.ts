import { assertEquals } from "@std/assert";
import { silentLogger } from "../../src/io/mod.ts";
import { UndoList } from "../../src/migrate/undo.ts";
import { ManualClock } from "../support/manual_clock.ts";

Deno.test("steps are undone last first, and a step that fails or hangs does not prevent the others", async () => {
  const clock = new ManualClock();
  const undo = new UndoList(clock, silentLogger);
  const done: string[] = [];
  const step = (name: string, work: () => Promise<void> = () => Promise.resolve()) =>
    undo.add(name, () => {
      done.push(name);
      return work();
    });
  step("first");
  step("hanging", () => new Promise(() => {}));
  step("failing", () => Promise.reject(new Error("already gone")));
  step("last");
  const running = undo.run();
  await clock.advance(30_000);
  assertEquals(await running, {
    here: ["failing (already gone)", "hanging (not done in time)"],
    elsewhere: [],
  });
  assertEquals(done, ["last", "failing", "hanging", "first"]);
  assertEquals(await undo.run(), { here: [], elsewhere: [] }, "nothing is undone twice");
  assertEquals(clock.armed, 0);
});

Deno.test("undoing ends after a minute plus 5 s for each later step", async () => {
  const clock = new ManualClock();
  const undo = new UndoList(clock, silentLogger);
  for (let i = 0; i < 5; i++) undo.add(`step ${i}`, () => new Promise(() => {}));
  undo.add("at the destination", () => Promise.reject(new Error("its disk is slow")), {
    elsewhere: true,
  });
  const running = undo.run();
  await clock.advance(30_000 + 30_000 + 3 * 5_000);
  const { here, elsewhere } = await running;
  assertEquals([here.length, elsewhere], [5, ["its disk is slow"]]);
});
