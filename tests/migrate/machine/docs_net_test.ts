import { assertEquals } from "@std/assert";
import { RULES } from "../../../src/migrate/mod.ts";

Deno.test("docs/comparison.md has the table of rules that the program has", async () => {
  const text = await Deno.readTextFile(new URL("../../../docs/comparison.md", import.meta.url));
  const rows = text.split("\n").filter((line) => line.startsWith("| `"))
    .map((line) => line.replace(/ +\|/g, " |"));
  const rules = Object.entries(RULES);
  assertEquals(rows, rules.map(([name, r]) => `| \`${name}\` | ${r.severity} | ${r.about} |`));
});
