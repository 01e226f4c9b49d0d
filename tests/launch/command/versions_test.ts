import { assertEquals } from "@std/assert";
import { optionsMissingIn, parseCommand } from "../../../src/launch/command/mod.ts";

Deno.test("an option that a version of QEMU lacks is named with its successor", () => {
  const command = parseCommand(["qemu", "-runas", "a", "-portrait", "-perfmap", "-S", "-id", "1"]);
  const missing = (version: string) => optionsMissingIn(command, version);
  assertEquals(missing("11.1.3"), [
    { option: "-runas a", instead: "-run-with user=" },
    { option: "-portrait", instead: null },
  ]);
  assertEquals(missing("7.2.22"), [{ option: "-perfmap", instead: null }]);
  assertEquals([missing("9.2.0"), missing("unknown")], [[], []]);
});
