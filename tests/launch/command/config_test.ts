import { assertEquals, assertRejects } from "@std/assert";
import {
  CommandLineError,
  expandConfig,
  parseCommand,
  writeCommand,
} from "../../../src/launch/command/mod.ts";

function expand(text: string): Promise<string[]> {
  const command = parseCommand(["qemu", "-S", "-readconfig", "a.cfg", "-name", "x"]);
  return expandConfig(command, (path) => {
    assertEquals(path, "a.cfg");
    return Promise.resolve(text);
  }).then((expanded) => writeCommand(expanded).slice(2, -2));
}

Deno.test("a configuration file's groups become options in its place", async () => {
  const text = `# a comment
[device "ich9-ehci-1"]
  driver = "ich9-usb-ehci1"
  addr = "1d.7"

[memory]
  size = "1024"
[smp-opts]
cpus="2"
[boot-opts]
  order = "c"
[fw_cfg]
  file = "/a,b"
[machine]
`;
  assertEquals(await expand(text), [
    ...["-device", "id=ich9-ehci-1,driver=ich9-usb-ehci1,addr=1d.7"],
    ...["-m", "size=1024", "-smp", "cpus=2", "-boot", "order=c"],
    ...["-fw_cfg", "file=/a,,b", "-machine", ""],
  ]);
});

Deno.test("a configuration file that QEMU would not read is refused with its line", async () => {
  for (const text of ["x", '\na = "b"', "[device]\na=b", '[nosuch "a"]', "[uuid]", "[device"]) {
    await assertRejects(() => expand(text), CommandLineError, "a.cfg, line ");
  }
});
