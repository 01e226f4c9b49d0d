import { assertEquals } from "@std/assert";
import { startsAnew } from "../../../src/cli/run/cut_off.ts";
import { firstRecord, firstSourceRecord } from "../../../src/migrate/journal.ts";
import { SOURCE, type SourceState } from "../../../src/migrate/handover/states.ts";

/** States of a killed source that a new migration to `destination` starts anew from. */
function undoneBy(launches: boolean, destination: string): SourceState[] {
  const record = firstSourceRecord({ qmp: "/run/q", destination });
  return (Object.keys(SOURCE) as SourceState[]).filter((state) =>
    startsAnew({ ...record, state }, { launches })
  );
}

Deno.test("over ssh a migration that was cut off before the switchover is started anew", () => {
  for (const launches of [true, false]) {
    assertEquals(undoneBy(launches, "ssh://root@h"), ["prepare", "mirror", "ram"]);
  }
});

Deno.test("a launch leaves a copy of disks alone that the earlier destination may resume", () => {
  assertEquals(undoneBy(true, "tcp://h:1"), ["prepare", "ram"]);
  assertEquals(undoneBy(true, "vmferry://h:1"), ["prepare", "ram"]);
});

Deno.test("a migration without a launch leaves everything alone that --resume continues", () => {
  assertEquals(undoneBy(false, "tcp://h:1"), []);
});

Deno.test("a source undoes no record of a destination", () => {
  const record = firstRecord({ migration: "m", qmp: "/run/q", listen: "ssh://h" });
  assertEquals(startsAnew(record, { launches: true }), false);
});
