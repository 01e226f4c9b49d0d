import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { parseCommandLine } from "../../src/cli/args/mod.ts";
import { UsageError } from "../../src/cli/args/usage_error.ts";

const parse = (line: string) => parseCommandLine(line.split(" ").filter((w) => w !== ""));

function refused(line: string, words: string): void {
  const error = assertThrows(() => parse(line), UsageError);
  assertStringIncludes(error.message, words);
}

Deno.test("migrate --launch over ssh starts a receive that launches", () => {
  const command = parse("migrate --qmp /q --launch ssh://root@host2");
  assert(command.command === "migrate");
  assertEquals(command.peerArgs, ["receive", "--stdio", "--quiet", "--launch"]);
  assertEquals(command.launch, {
    ...{ maps: [], diskPaths: [], sync: "full", persist: false },
    ...{ qemuCommand: undefined, dryRun: false },
  });
});

Deno.test("with --launch a disk is picked by name, and may have a path at the destination", () => {
  const command = parse("migrate --qmp /q --launch --disk a --disk b=/x=y.img ssh://h");
  assert(command.command === "migrate");
  assertEquals(command.disks, ["a", "b"]);
  assertEquals(command.launch?.diskPaths, [{ name: "b", path: "/x=y.img" }]);
  refused("migrate --qmp /q --launch --disk a=b ssh://h", "an absolute path");
  refused("migrate --qmp /q --launch --disk a --disk a=/b ssh://h", '"a" was given twice');
});

Deno.test("options of a launch need --launch, and those of a running QEMU exclude it", () => {
  refused("migrate --qmp /q --dry-run --remote-qmp /r ssh://h", "--dry-run goes with --launch");
  refused("check --qmp /q --map /a=/b", "--map goes with --launch");
  refused("migrate --qmp /q --launch --remote-qmp /r ssh://h", "--remote-qmp does not go with");
  refused("migrate --qmp /q --launch --resume ssh://h", "--resume does not go with --launch");
  refused("receive --launch --qmp /q --listen unix:///s", "--qmp does not go with --launch");
  refused("receive --qmp /q --launch-any --listen unix:///s", "--launch-any goes with --launch");
  refused("migrate --qmp /q --launch --sync part ssh://h", "full or top");
  refused("migrate --qmp /q --verify-base ssh://h", "--verify-base goes with --sync top");
  refused("migrate --qmp /q --launch --map a=/b ssh://h", "expected OLD=NEW");
  refused("check --qmp /q --launch", "check --launch needs a DESTINATION");
});

Deno.test("receive --launch listens with a ticket and needs no QEMU", () => {
  const command = parse("receive --launch --launch-any --listen tcp://127.0.0.1:0");
  assert(command.command === "receive-launch");
  assertEquals(command.any, true);
  assert(command.listen !== "stdio");
  assertEquals(command.listen.transport, "ticket");
});

Deno.test("--start and --stop of a launch go to the vmferry that ssh starts", () => {
  const args = ["migrate", "--qmp", "/q", "--launch", "--start", "a b", "--stop", "c"];
  const command = parseCommandLine([...args, "--hook-timeout", "5", "ssh://h"]);
  assert(command.command === "migrate");
  assertEquals(command.peerArgs.slice(3), [
    ...["--launch", "--start", "a b", "--stop", "c", "--hook-timeout", "5"],
  ]);
});

Deno.test("without ssh only the destination's own --start counts in a launch", () => {
  for (const address of ["unix:///s", "-"]) {
    refused(`migrate --qmp /q --launch --start a --stop b ${address}`, "go with ssh:// only");
  }
  const command = parse("receive --launch --start a --stop b --listen unix:///s");
  assert(command.command === "receive-launch");
  assertEquals(command.started, { start: "a", stop: "b" });
});

Deno.test("--start of a launch needs --launch and --stop, and excludes --persist", () => {
  refused(
    "migrate --qmp /q --remote-qmp /r --start a --stop b ssh://h",
    "--start goes with --launch",
  );
  refused("migrate --qmp /q --launch --start a ssh://h", "--start needs --stop");
  refused(
    "migrate --qmp /q --launch --persist --start a --stop b ssh://h",
    "--persist does not go",
  );
});
