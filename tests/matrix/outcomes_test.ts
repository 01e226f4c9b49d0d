import { assertEquals, assertThrows } from "@std/assert";
import doc from "../../docs/reliability.md" with { type: "text" };
import { assertExpected } from "./cell.ts";
import { FAULTS } from "./faults.ts";
import { CELLS, outcomesOf, tableOf } from "./outcomes.ts";
import { PHASES } from "./phases.ts";

/** Without the formatter's padding. */
const bare = (table: string) =>
  table.split("\n").map((line) => line.replace(/-{3,}/g, "---").replace(/ +/g, " "));

Deno.test("the table of outcomes has a cell for every fault that is played in a phase, and no other", () => {
  const played = PHASES.flatMap((phase) =>
    FAULTS.filter((fault) => fault.applies?.(phase) ?? true).map(({ name }) =>
      `${phase.name}: ${name}`
    )
  );
  assertEquals(CELLS.map(({ phase, fault }) => `${phase}: ${fault}`), played);
});

Deno.test("docs/reliability.md shows the table of outcomes", () => {
  const start = doc.indexOf("| phase  ");
  const shown = doc.slice(start, doc.indexOf("\n\n", start));
  assertEquals(bare(shown), bare(tableOf(CELLS)));
});

Deno.test("a cell with another outcome than the table's fails, and the message names both", () => {
  const row = { migrate: [0], receive: [0], guest: "destination", said: "" } as const;
  assertExpected({ ...row, phase: "ready", fault: "link cut short" });
  // Either may win there.
  assertExpected({ ...row, phase: "ready", fault: "cancel" });
  assertThrows(
    () => assertExpected({ ...row, phase: "ram", fault: "cancel" }),
    Error,
    "D 0, expected S 5 as in tests/matrix/outcomes.ts",
  );
  // A tool that was started again ends the migration.
  const again = { ...row, phase: "ram", fault: "kill -9 source tool", guest: "source" } as const;
  assertExpected({ ...again, migrate: [137, 1] });
  assertThrows(() => assertExpected({ ...again, migrate: [1, 3] }), Error, "S 3, expected S 1");
});

Deno.test("an outcome that the table does not have is an error of its own", () => {
  assertThrows(
    () => outcomesOf("source ends", "ENOSPC at the destination"),
    Error,
    "no outcome of",
  );
});
