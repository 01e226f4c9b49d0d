import { assert, assertEquals } from "@std/assert";
import { fitted, Screen } from "../../../src/cli/output/screen.ts";

Deno.test("what does not fit on the terminal is cut off, and the last row says how many lines are missing", () => {
  const lines = ["one", "two two", "door 12", "four"];
  assertEquals(fitted(lines, { rows: 4, columns: 4 }), ["one", "two ", "door", "four"]);
  assertEquals(fitted(lines, { rows: 3, columns: 20 }), ["one", "two two", "... 2 more lines"]);
  assertEquals(fitted(lines, { rows: 1, columns: 5 }), ["... 4"]);
});

Deno.test("a screen is drawn for the terminal's size at that time, and leaves the terminal as it was", () => {
  const written: string[] = [];
  const size = { rows: 2, columns: 80 };
  {
    using screen = new Screen((text) => written.push(text), () => size);
    screen.show(["a", "b", "c"]);
    size.rows = 3;
    screen.show(["a", "b", "c"]);
  }
  const [enter, small, large, leave] = written;
  assert(small!.includes("2 more lines") && !large!.includes("more lines"));
  assert(enter!.includes("\x1b[?1049h") && leave!.endsWith("\x1b[?1049l"));
});
