import { assertEquals } from "@std/assert";
import { ownCommand } from "../../src/cli/own_command.ts";

Deno.test("advice names a copy that ssh brought by its path, and everything else vmferry", () => {
  const copy = `/root/.cache/vmferry/carried-host2/${"0a".repeat(32)}/vmferry`;
  assertEquals(ownCommand(copy), copy);
  for (const path of ["", "/opt/vmferry", "/home/u/carried-x/vmferry", "/usr/bin/deno"]) {
    assertEquals(ownCommand(path), "vmferry");
  }
});
