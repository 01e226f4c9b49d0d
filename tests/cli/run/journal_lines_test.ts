import { assertEquals } from "@std/assert";
import { lastValue } from "../../../src/cli/run/journal_lines.ts";

Deno.test("the last whole line of a journal counts, whatever was cut short around it", () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ["", undefined],
    ['{"a":1}', undefined],
    ['{"a":1}\n', { a: 1 }],
    ['{"a":1}\n{"a":2}\n{"a":', { a: 2 }],
    ['{"a":1}\n{"a":\n', { a: 1 }],
    ['{"a":\n\n{"a":3}\n', { a: 3 }],
  ];
  for (const [text, value] of cases) assertEquals(lastValue(text), value, text);
});
