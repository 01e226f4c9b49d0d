import { assertThrows } from "@std/assert";
import { parseCommandLine } from "../../../src/cli/args/mod.ts";
import { UsageError } from "../../../src/cli/args/usage_error.ts";

Deno.test("arguments after -- are refused by commands that use none", () => {
  for (const command of [["cancel"], ["status"], ["set", "bandwidth=1M"]]) {
    assertThrows(() => parseCommandLine([...command, "--", "x"]), UsageError, '"x" after --');
  }
});

Deno.test("an argument that looks like a number is named as it was typed", () => {
  assertThrows(() => parseCommandLine(["set", "0x10"]), UsageError, "0x10");
  assertThrows(() => parseCommandLine(["migrate", "--qmp", "q", "1e3"]), UsageError, "1e3");
});
