import { assertEquals } from "@std/assert";
import { DESTINATION_LISTS } from "../../../src/migrate/handover/destination_step.ts";
import { SOURCE_LISTS } from "../../../src/migrate/handover/source_step.ts";
import { DESTINATION, resumedAt, SOURCE, wordOf } from "../../../src/migrate/handover/states.ts";
import { sourceVerdict } from "../../../src/migrate/handover/verdict.ts";

Deno.test("a journal that is one step late at the switchover leads to the same as one in time", () => {
  assertEquals(resumedAt("ram"), resumedAt("switchover"));
  for (const destination of [undefined, "prepared", "failed"] as const) {
    for (const force of [false, true]) {
      assertEquals(
        sourceVerdict({ runs: false, journal: "ram", destination, force }),
        sourceVerdict({ runs: false, journal: "switchover", destination, force }),
      );
    }
  }
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

Deno.test("a list enters a state exactly where its event leads to another one", () => {
  const sides: [Record<string, object>, Record<string, object>][] = [
    [SOURCE, SOURCE_LISTS],
    [DESTINATION, DESTINATION_LISTS],
  ];
  for (const [table, lists] of sides) {
    for (const [state, row] of Object.entries(table)) {
      const actions = new Map<string, readonly string[]>(Object.entries(lists[state]!));
      for (const [event, next] of Object.entries(row)) {
        const entered = actions.get(event)?.filter((action) => action === "enter").length ?? 0;
        assertEquals(entered, next === state ? 0 : 1, `${state}.${event}`);
        actions.delete(event);
      }
      assertEquals([...actions.keys()], [], `events that ${state} does not know`);
    }
  }
});
