import { assertEquals } from "@std/assert";
import { Output } from "../../../src/cli/output/output.ts";

Deno.test("the method that prints a line works without its object", async () => {
  let written = "";
  const sink = {
    write: (bytes: Uint8Array) => {
      written += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
    isTerminal: () => false,
  };
  const outlets = { stdout: sink, stderr: sink, term: () => undefined, columns: () => 80 };
  const output = new Output({ json: false, quiet: false, verbose: false }, outlets);
  // `check`, `forward` and `recover` give it to ssh in this way.
  const { line } = output;
  line("host2: Permission denied");
  await output.close();
  assertEquals(written, "host2: Permission denied\n");
});
