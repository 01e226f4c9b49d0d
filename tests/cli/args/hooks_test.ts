import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseCommandLine } from "../../../src/cli/args/mod.ts";
import { UsageError } from "../../../src/cli/args/usage_error.ts";

const RECEIVE = ["receive", "--qmp", "/q", "--listen", "unix:///s"];

Deno.test("a hook is taken as it is written, and has 30 s unless another time is given", () => {
  const command = parseCommandLine([...RECEIVE, "--hook-after", "a 'b c' >&2"]);
  assert(command.command === "receive");
  const { hooks } = command;
  assertEquals(hooks, {
    ...{ beforeSwitchover: undefined, after: "a 'b c' >&2", timeoutMs: 30_000 },
  });
  const other = parseCommandLine([...RECEIVE, "--hook-after", "a", "--hook-timeout", "5"]);
  assert(other.command === "receive");
  assertEquals(other.hooks.timeoutMs, 5_000);
});

Deno.test("a time for hooks without a hook, and a time of 0, are wrong usage", () => {
  const fails = (...more: string[]) =>
    assertThrows(() => parseCommandLine([...RECEIVE, ...more]), UsageError);
  fails("--hook-timeout", "5");
  fails("--hook-after", "a", "--hook-timeout", "0");
});

Deno.test("a receive of a domain takes no hooks: libvirt has its own", () => {
  assertThrows(
    () => parseCommandLine(["receive", "--libvirt", "--stdio", "--hook-after", "a"]),
    UsageError,
    "--hook-after does not go with --libvirt",
  );
});

Deno.test("--start and --stop need each other, and do not go with a QEMU that libvirt starts or that runs", () => {
  const both = parseCommandLine([...RECEIVE, "--start", "a b", "--stop", "c"]);
  assert(both.command === "receive");
  assertEquals(both.started, { start: "a b", stop: "c" });
  const fails = (...args: string[]) => assertThrows(() => parseCommandLine(args), UsageError);
  fails(...RECEIVE, "--start", "a");
  fails(...RECEIVE, "--stop", "a");
  const start = ["--start", "a", "--stop", "b"];
  fails(...RECEIVE, "--resume", ...start);
  fails("receive", "--libvirt", "--stdio", ...start);
});
