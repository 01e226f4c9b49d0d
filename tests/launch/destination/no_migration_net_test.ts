import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { RpcError } from "../../../src/rpc/mod.ts";
import { LaunchLab } from "./launch_lab.ts";

Deno.test("a source that asks for no launch is refused, and a launch is served afterwards", async () => {
  await using lab = await LaunchLab.make();
  const error = await assertRejects(
    () => lab.rpc.call("describe", { page: 0 }, { timeoutMs: 5000 }),
    RpcError,
  );
  assertEquals(error.code, "refused");
  assertStringIncludes(error.message, "Add --launch");
  await lab.prepare();
});
