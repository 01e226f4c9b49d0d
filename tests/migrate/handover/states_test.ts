import { assertEquals } from "@std/assert";
import { resumedAt } from "../../../src/migrate/handover/states.ts";
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
