import { assertEquals } from "@std/assert";
import type { SourceRecord } from "../../../src/migrate/mod.ts";
import { carriesAsleep, isToRun } from "../../../src/migrate/guest/run_states.ts";

const record = (change: Partial<SourceRecord>) =>
  ({ state: "mirror", stopped: "no", wasRunning: true, ...change }) as SourceRecord;

Deno.test("a guest that its owner paused or resumed while no vmferry watched stays so", () => {
  assertEquals(isToRun("running", record({ wasRunning: false })), true);
  assertEquals(isToRun("paused", record({})), false);
  assertEquals(isToRun("paused", record({ state: "ram" })), false);
  assertEquals(isToRun("paused", record({ wasRunning: false })), false);
});

Deno.test("a guest that the migration paused must run if it ran before", () => {
  for (const stopped of ["held", "suspended"] as const) {
    assertEquals(isToRun("paused", record({ stopped })), true, stopped);
  }
  for (const state of ["ram", "switchover"] as const) {
    for (const status of ["finish-migrate", "postmigrate"]) {
      assertEquals(isToRun(status, record({ state })), true, `${state}, ${status}`);
      assertEquals(isToRun(status, record({ state, wasRunning: false })), false);
    }
  }
});

Deno.test("a guest that was paused again after the handover must run if it ran before", () => {
  for (const state of ["handover", "postcopy", "unknown"] as const) {
    assertEquals(isToRun("paused", record({ state })), true, state);
    assertEquals(isToRun("paused", record({ state, wasRunning: false })), false, state);
  }
});

Deno.test("a sleeping guest survives a migration from QEMU 9.0 on", () => {
  assertEquals(["7.2.22", "8.2.0", "9.0.0", "10.0.2"].map(carriesAsleep), [
    ...[false, false, true, true],
  ]);
});
