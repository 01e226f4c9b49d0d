import { assertEquals, assertThrows } from "@std/assert";
import { parseCommandLine } from "../../../src/cli/args/mod.ts";
import { UsageError } from "../../../src/cli/args/usage_error.ts";

const COMMANDS = [
  ["migrate", "--qmp", "/q", "--launch", "ssh://host2"],
  ["domain", "vm1", "ssh://host2"],
  ["copy", "/vm1.raw", "ssh://host2"],
];

Deno.test("migrate, domain and copy take a limit and a bandwidth for all migrations of the host", () => {
  for (const words of COMMANDS) {
    const command = parseCommandLine([
      ...[...words, "--max-parallel", "2", "--max-wait", "90"],
      ...["--host-bandwidth", "1G", "--lock-dir", "/run/limits"],
    ]) as { parallel?: unknown };
    assertEquals(command.parallel, {
      ...{ maxParallel: 2, maxWaitMs: 90_000, hostBandwidth: 1024 ** 3, lockDir: "/run/limits" },
    });
  }
});

Deno.test("a wrong limit for the host's migrations is refused, and says what is expected", () => {
  const wrong = [
    [["--max-parallel", "0"], 'got "0", expected a number from 1 to 1000'],
    [["--max-parallel", "two"], 'got "two", expected a number from 1 to 1000'],
    [["--host-bandwidth", "fast"], 'got "fast", expected bytes a second'],
    [["--max-wait", "9"], "--max-wait needs --max-parallel"],
    [["--lock-dir", "/x"], "--lock-dir needs --max-parallel N or --host-bandwidth SIZE"],
  ] as const;
  for (const [flags, message] of wrong) {
    assertThrows(() => parseCommandLine([...COMMANDS[0]!, ...flags]), UsageError, message);
  }
});
