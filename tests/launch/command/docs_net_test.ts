import { assertEquals } from "@std/assert";
import { DOC, launchOptionsPage } from "../../../tools/docs/launch_options.ts";

/** Text without the formatter's line breaks. */
const plain = (text: string) => text.replace(/\s+/g, " ").trim();

Deno.test("docs/reference/launch-options.md is what the table says (make docs)", async () => {
  assertEquals(plain(await Deno.readTextFile(DOC)), plain(launchOptionsPage()));
});
