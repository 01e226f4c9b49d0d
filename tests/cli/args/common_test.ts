import { assertThrows } from "@std/assert";
import { parseCommandLine } from "../../../src/cli/args/mod.ts";
import { UsageError } from "../../../src/cli/args/usage_error.ts";

const WRONG: readonly (readonly [line: string, message: string])[] = [
  ["migrate --qmp /q --log-format xml tcp://h:1", '--log-format: got "xml", expected text, json'],
  ["receive --qmp /q --listen tcp://h:1 --log-format json", "needs --ticket-file FILE here"],
  ["forward --listen vmferry://h:1 --to a=unix:///a --log-format journald", "needs --ticket-file"],
  ["migrate --qmp /q --metrics /tmp/vm1 tcp://h:1", "expected a name that ends in .prom"],
  ["migrate --qmp /q --quit-source=no tcp://h:1", '--quit-source takes no value, got "no"'],
];

for (const [line, message] of WRONG) {
  Deno.test(`wrong usage: vmferry ${line}`, () => {
    assertThrows(() => parseCommandLine(line.split(" ")), UsageError, message);
  });
}
