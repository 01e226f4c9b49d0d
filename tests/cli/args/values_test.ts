import { assertThrows } from "@std/assert";
import { parseCommandLine } from "../../../src/cli/args/mod.ts";
import { UsageError } from "../../../src/cli/args/usage_error.ts";
import { type CommandName, COMMANDS } from "../../../src/cli/help/flag.ts";
import { flagsOf } from "../../../src/cli/help/flags.ts";
import { valueOf } from "../../../tools/package/words.ts";

/** The least that each command needs. */
const LEAST: Readonly<Record<CommandName, readonly string[]>> = {
  receive: ["--qmp", "/q"],
  migrate: ["--qmp", "/q", "unix:///s"],
  domain: ["vm1", "unix:///s"],
  copy: ["/image", "unix:///s"],
  forward: ["--to", "x=unix:///x"],
  check: ["--qmp", "/q", "unix:///s"],
  status: [],
  cancel: [],
  set: ["bandwidth=1M"],
  recover: ["--qmp", "/q"],
};

/** What a flag needs beside itself. */
function withOthers(command: CommandName, flag: string): readonly string[] {
  if (flag === "multifd-compression") return ["--multifd", "2"];
  if (flag === "timeout-action" && command !== "check") return ["--timeout", "9"];
  const listens = command === "receive" || command === "forward";
  return listens && flag !== "listen" ? ["--listen", "unix:///s"] : [];
}

Deno.test("a command takes every value that the table of flags lists for it, and no other one", () => {
  for (const command of COMMANDS) {
    for (const flag of flagsOf(command)) {
      const value = valueOf(flag);
      // An address has more behind its scheme.
      if (value?.kind !== "words" || flag.name === "listen") continue;
      const others = [...LEAST[command], ...withOthers(command, flag.name)];
      for (const word of value.words) parse(command, others, flag.name, word);
      assertThrows(() => parse(command, others, flag.name, "nonsense"), UsageError, flag.name);
    }
  }
});

function parse(command: CommandName, others: readonly string[], flag: string, value: string): void {
  parseCommandLine([command, `--${flag}`, value, ...others]);
}
