import { assertEquals, assertThrows } from "@std/assert";
import { Machine, silentLogger, type Transitions } from "../../src/io/mod.ts";
import { DESTINATION } from "../../src/migrate/handover/states.ts";
import { resumedAt, SOURCE, wordOf } from "../../src/migrate/handover/states.ts";

const DOOR: Transitions<"open" | "shut", "push" | "lock"> = {
  open: { push: "shut" },
  shut: { push: "open", lock: "shut" },
};

Deno.test("only events change a state, and an event that the table lacks throws", () => {
  const door = new Machine("door", "open", DOOR, silentLogger);
  assertThrows(() => door.take("lock"), Error, 'door: no "lock" in state open');
  assertEquals(door.take("push"), true);
  assertEquals(door.current, "shut");
  assertEquals(door.take("lock"), false, "an event that changes nothing");
});

Deno.test("every state handles a fault, and no event leaves a final state", () => {
  for (const [table, ends] of [[SOURCE, 3], [DESTINATION, 3]] as const) {
    const rows = Object.entries(table) as [string, Record<string, string>][];
    for (const [state, row] of rows) {
      assertEquals(row.fault !== undefined, true, state);
      for (const next of Object.values(row)) assertEquals(next in table, true, next);
    }
    const final = rows.filter(([state, row]) => Object.values(row).every((next) => next === state));
    assertEquals(final.length, ends);
  }
});

Deno.test("a handed-over guest is never resumed as one that runs at the source", () => {
  assertEquals(resumedAt("handover"), "handover");
  assertEquals(resumedAt("unknown"), "handover");
  assertEquals(resumedAt("ram"), "undone");
});

Deno.test("only a destination that will never run the guest lets the source resume it", () => {
  const states = Object.keys(DESTINATION) as (keyof typeof DESTINATION)[];
  assertEquals(states.filter((s) => wordOf(s) === "denied"), ["failed"]);
  assertEquals(states.filter((s) => wordOf(s) === "answered"), ["finished"]);
});
