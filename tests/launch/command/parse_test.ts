import { assertEquals, assertThrows } from "@std/assert";
import { CommandLineError, parseCommand, writeCommand } from "../../../src/launch/command/mod.ts";

Deno.test("an option has its canonical name and keeps its spelling", () => {
  const argv = ["qemu-system-x86_64", "--name", "vm1", "-M", "q35", "-S", "disk.img", ""];
  const command = parseCommand(argv);
  assertEquals(command.options, [
    { name: "name", value: "vm1", written: "--name" },
    { name: "machine", value: "q35", written: "-M" },
    { name: "S", value: null },
    { name: "drive-file", value: "disk.img" },
    { name: "drive-file", value: "" },
  ]);
  assertEquals(writeCommand(command), argv);
});

Deno.test("a value that looks like an option is a value", () => {
  const argv = ["qemu-system-x86_64", "-append", "-S", "-name", "--"];
  assertEquals(parseCommand(argv).options, [
    { name: "append", value: "-S" },
    { name: "name", value: "--" },
  ]);
});

Deno.test("an unknown option is refused by its name", () => {
  for (const word of ["-nosuch", "--nosuch", "-", "--", "---name", "-drive-file", "-constructor"]) {
    assertThrows(
      () => parseCommand(["qemu-system-x86_64", "-S", word, "x"]),
      CommandLineError,
      `option ${word}.`,
    );
  }
});

Deno.test("a last option without its value is refused by its name", () => {
  assertThrows(() => parseCommand(["qemu", "-S", "--name"]), CommandLineError, "--name");
  assertThrows(() => parseCommand([]), CommandLineError, "empty");
});
