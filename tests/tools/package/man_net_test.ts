import { assert, assertEquals } from "@std/assert";
import { ABOUT } from "../../../src/cli/help/about.ts";
import { COMMANDS } from "../../../src/cli/help/flag.ts";
import { flagsOf } from "../../../src/cli/help/flags.ts";
import { releaseDate } from "../../../tools/package/changelog.ts";
import { manPages } from "../../../tools/package/man.ts";
import { TEXTS } from "../../../tools/package/man_texts.ts";
import { inDirectory } from "../../support/in_directory.ts";
import { tool } from "./shells.ts";

Deno.test("mandoc finds no fault above its style level in a manual page", async () => {
  await inDirectory(async (dir) => {
    const pages = manPages(releaseDate());
    const files = pages.map(({ file }) => `${dir}/${file}`);
    for (const [i, { text }] of pages.entries()) await Deno.writeTextFile(files[i]!, text);
    const { code, output, errors } = await tool("mandoc", ["-Tlint", "-Wwarning", ...files]);
    assertEquals(output + errors, "");
    assertEquals(code, 0);
  });
});

Deno.test("a manual page shows every flag, example and exit code of its command", async () => {
  await inDirectory(async (dir) => {
    const pages = new Map(manPages(releaseDate()).map(({ file, text }) => [file, text]));
    assertEquals(pages.size, COMMANDS.length + 1);
    for (const command of COMMANDS) {
      const file = `${dir}/${command}.1`;
      await Deno.writeTextFile(file, pages.get(`vmferry-${command}.1`)!);
      const { output } = await tool("mandoc", ["-Tascii", "-Owidth=200", file]);
      // A terminal shows a letter bold by printing it twice.
      const shown = output.replace(/.[\b]/g, "");
      for (const { name } of flagsOf(command)) assert(shown.includes(`    --${name}`), name);
      for (const example of ABOUT[command].examples) assert(shown.includes(example), example);
      const codes = 6 - (TEXTS[command].never?.length ?? 0);
      assertEquals(shown.match(/^ {5}[0-5] {7}\S/gm)?.length, codes, command);
      const sections = shown.match(/^[A-Z ]+$/gm);
      for (const section of ["SYNOPSIS", "FILES", "EXAMPLES", "SEE ALSO"]) {
        assert(sections?.includes(section), `${command}: ${section} of ${sections}`);
      }
    }
  });
});

Deno.test("each example of a command has a line about it in the manual page", () => {
  for (const command of COMMANDS) {
    assertEquals(TEXTS[command].examples.length, ABOUT[command].examples.length, command);
  }
});
