import { assertEquals } from "@std/assert";
import { shellCommand } from "../../../src/launch/plan/shell.ts";

Deno.test("a shell reads each argument as it was", async () => {
  const argv = ["printf", "%s\\n", "a b", "it's", "$HOME", "", "@x,=:", "new\nline", "`id`", "*"];
  const { stdout } = await new Deno.Command("sh", { args: ["-c", shellCommand(argv)] }).output();
  assertEquals(new TextDecoder().decode(stdout), argv.slice(2).map((a) => `${a}\n`).join(""));
});
