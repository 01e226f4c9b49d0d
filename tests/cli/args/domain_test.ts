import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseCommandLine } from "../../../src/cli/args/mod.ts";
import { UsageError } from "../../../src/cli/args/usage_error.ts";

const parse = (line: string) => parseCommandLine(line.split(" ").filter((w) => w !== ""));

Deno.test("domain takes a name, a destination, and options of virsh behind --", () => {
  const command = parse(
    "domain vm1 --bandwidth 1M --max-downtime 250 --reuse vda --shared vdb --timeout 60 " +
      "--timeout-action pause ssh://root@host2 -- --persistent --undefinesource",
  );
  assert(command.command === "domain");
  assertEquals(command.domain, "vm1");
  assertEquals(command.destination, {
    transport: "ssh",
    user: "root",
    host: "host2",
    port: undefined,
  });
  assertEquals(command.connect, "qemu:///system");
  assertEquals([command.reuse, command.shared], [["vda"], ["vdb"]]);
  assertEquals([command.bandwidth, command.maxDowntimeMs], [1024 ** 2, 250]);
  assertEquals([command.timeoutMs, command.timeoutAction], [60_000, "pause"]);
  assertEquals(command.virshOptions, ["--persistent", "--undefinesource"]);
});

Deno.test("ssh starts a receive of libvirt at the other end, without the options of virsh", () => {
  const command = parse("domain vm1 --remote-connect qemu:///session ssh://host2 -- --postcopy");
  assert(command.command === "domain");
  assertEquals(command.peerArgs, [
    ...["receive", "--stdio", "--libvirt", "--connect", "qemu:///session", "--quiet"],
  ]);
});

Deno.test("check domain takes what domain takes and is no check of a QEMU", () => {
  const command = parse("check domain vm1 --reuse vda tcp://127.0.0.1:1 -- --copy-storage-inc");
  assert(command.command === "check-domain");
  assertEquals(command.domain, "vm1");
  assertEquals(command.destination, { transport: "tcp", host: "127.0.0.1", port: 1 });
  assertEquals(command.reuse, ["vda"]);
  assertEquals(command.virshOptions, ["--copy-storage-inc"]);
});

Deno.test("a domain command that cannot be carried out names what is wrong", () => {
  const wrong: readonly (readonly [string, string])[] = [
    ["domain", "The name of a domain is missing"],
    ["domain vm1", 'The DESTINATION of domain "vm1" is missing'],
    ["domain vm1 ssh://host2 more", '"more" is one argument too many'],
    ["domain vm1 --reuse vda --shared vda ssh://h", "exclude each other"],
    ["domain vm1 --remote-connect qemu:///system tcp://[::1]:1", "--remote-connect goes with"],
    ["domain vm1 --timeout-action pause ssh://h", "--timeout-action needs --timeout"],
    ["domain --qmp /q vm1 ssh://h", "--qmp is no flag"],
    ["check domain vm1", 'The DESTINATION of domain "vm1" is missing'],
    ["check domain vm1 --qmp /q ssh://h", "--qmp does not go with 'check domain'"],
  ];
  for (const [line, message] of wrong) assertThrows(() => parse(line), UsageError, message);
});
