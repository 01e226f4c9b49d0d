import { assertEquals } from "@std/assert";
import { untilBegun, untilMayResume } from "../../../src/migrate/postcopy/mod.ts";
import type { QmpClient } from "../../../src/qmp/mod.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";

Deno.test("QEMU before 8.2 has a second to notice that its stream broke, a later one needs none", async () => {
  for (const [isNew, waits] of [[false, true], [true, false]] as const) {
    const clock = new ManualClock();
    let may = false;
    const waiting = untilMayResume({ atLeast: () => isNew }, clock).then(() => may = true);
    await settle();
    assertEquals(may, !waits);
    await clock.advance(1000);
    await waiting;
  }
});

/** Whether {@link untilBegun} still waits, after each of these answers to `query-migrate`, 50 ms apart. */
async function waits(
  statuses: readonly string[],
  { isNew = false, postcopy = true }: { isNew?: boolean; postcopy?: boolean } = {},
): Promise<boolean[]> {
  const clock = new ManualClock();
  const left = [...statuses];
  const execute = () => {
    const status = left.length > 1 ? left.shift() : left[0];
    return status === "no answer" ? new Promise(() => {}) : Promise.resolve({ status });
  };
  const qmp = { atLeast: () => isNew, execute } as unknown as QmpClient;
  let isOver = false;
  untilBegun({ qmp, clock, record: postcopy ? { postcopy: {} } : {} }).then(() => isOver = true);
  const seen: boolean[] = [];
  for (const _ of statuses) {
    await settle();
    seen.push(!isOver);
    await clock.advance(50);
  }
  await settle();
  return [...seen, !isOver];
}

Deno.test("QEMU 7.2 keeps its stream until its second answer in post-copy", async () => {
  const answers = ["pre-switchover", "pre-switchover", "postcopy-active", "postcopy-active"];
  assertEquals(await waits(answers), [true, true, true, true, false]);
});

Deno.test("a stream is closed at once where QEMU is not about to begin post-copy", async () => {
  for (const status of ["active", "device", "failed", "completed"]) {
    assertEquals(await waits([status]), [false, false], status);
  }
  assertEquals(await waits(["pre-switchover"], { isNew: true }), [false, false]);
  assertEquals(await waits(["pre-switchover"], { postcopy: false }), [false, false]);
});

Deno.test("QEMU 7.2 that does not begin post-copy loses its stream after a second", async () => {
  for (const status of ["pre-switchover", "no answer"]) {
    const seen = await waits(Array.from({ length: 21 }, () => status));
    assertEquals([seen[19], seen.at(-1)], [true, false], status);
  }
});
