import { assert, assertEquals } from "@std/assert";
import { ERRORS, WARNINGS } from "../../src/migrate/mod.ts";
import { DOC, errorsPage } from "../../tools/docs/errors.ts";

const SRC = new URL("../../src/", import.meta.url);

/** Text without the formatter's line breaks. */
const plain = (text: string) => text.replace(/\s+/g, " ").trim();

async function* sources(dir: URL): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(dir)) {
    if (isDirectory) yield* sources(new URL(`${name}/`, dir));
    else if (!name.endsWith("_table.ts")) yield await Deno.readTextFile(new URL(name, dir));
  }
}

Deno.test("docs/errors.md is what the tables say (make docs)", async () => {
  assertEquals(plain(await Deno.readTextFile(DOC)), plain(errorsPage()));
});

Deno.test("every code of the tables is used in src", async () => {
  let all = "";
  for await (const text of sources(SRC)) all += text;
  const composed = ["source-qemu-gone", "destination-qemu-gone"];
  const unused = [...Object.keys(ERRORS), ...Object.keys(WARNINGS)].filter((code) =>
    !composed.includes(code) && !all.includes(`"${code.replace(/^probe-/, "")}"`)
  );
  assertEquals(unused, []);
});

Deno.test("every word that src passes as a code of an RpcError is a code of the table", async () => {
  let seen = 0;
  for await (const text of sources(SRC)) {
    for (const [, code] of text.matchAll(/new RpcError\(\s*"([^"]+)"/g)) {
      seen++;
      assert(Object.hasOwn(ERRORS, code!), code);
    }
  }
  assert(seen >= 15, String(seen));
});
