import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { prepare } from "../../../src/migrate/source/prepare.ts";
import { fakeSource } from "../../support/fake_source.ts";

Deno.test("--delta with a destination that does not hash blocks is refused before it prepares", async () => {
  const source = await fakeSource({ options: { delta: true } });
  const error = await assertRejects(() => prepare(source.context), MigrationError, "--delta");
  assertEquals([error.kind, error.side], ["refused", "destination"]);
  const calls = source.order.filter((entry) => entry.startsWith("rpc:prepare"));
  assertEquals(calls, ["rpc:prepare check"]);
  await source.end();
});
