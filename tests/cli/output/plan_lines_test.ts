import { assertEquals } from "@std/assert";
import { lineOf } from "../../../src/cli/output/lines.ts";

Deno.test("a command of a dry run is printed whole, however long it is", () => {
  const command = `qemu-system-x86_64 ${"-device virtio-rng-pci ".repeat(1000)}`;
  const commands = [{ side: "destination" as const, command }];
  assertEquals(lineOf({ event: "plan", commands }, false), `destination: ${command}`);
});
