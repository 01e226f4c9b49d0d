import { assertEquals } from "@std/assert";
import { whereIsIt } from "../../../src/cli/output/where_is_it.ts";

Deno.test("after exit 4 recover is not advised to ask over ssh, which it refuses", () => {
  const steps = (destination: string, isSsh: boolean) =>
    whereIsIt("vmferry recover --qmp /q", { destination, recoverThere: "" }, isSsh)
      .filter((step) => step.includes(destination));
  assertEquals(steps("tls://h:1", false).length, 1);
  assertEquals(steps("ssh://h", true), []);
});
