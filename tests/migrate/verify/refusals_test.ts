import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { prepare } from "../../../src/migrate/source/prepare.ts";
import { fakeSource, type FakeSourceOptions } from "../../support/fake_source.ts";
import { settle } from "../../support/manual_clock.ts";

const NONE = { "query-block-exports": () => ({ return: [] }) };
const THREAD = { id: "io0", "thread-id": 1 };

/** The refusal of a migration with `--verify`, and what was called before it. */
async function refusal(commands: FakeSourceOptions["commands"]) {
  const source = await fakeSource({
    options: { verify: true },
    commands: { "query-iothreads": () => ({ return: [] }), ...NONE, ...commands },
  });
  const preparing = assertRejects(() => prepare(source.context), MigrationError);
  // A server without exports may be one that is about to end: it is waited for, 2 s.
  for (let i = 0; i < 150; i++) {
    await settle();
    await source.clock.advance(20);
  }
  const error = await preparing;
  await source.end();
  return { error, order: source.order };
}

Deno.test("--verify with a destination that does not hash blocks is refused before it prepares", async () => {
  const { error, order } = await refusal({});
  assertEquals([error.kind, error.side], ["refused", "destination"]);
  assertEquals(error.message.includes("--verify"), true, error.message);
  assertEquals(order.filter((entry) => entry.startsWith("rpc:prepare")), ["rpc:prepare check"]);
});

Deno.test("--verify is refused where the end of a killed vmferry would end the guest", async () => {
  const { error, order } = await refusal({ "query-iothreads": () => ({ return: [THREAD] }) });
  assertEquals([error.kind, error.side], ["refused", "source"]);
  assertEquals(error.message.includes("before 10.0"), true, error.message);
  assertEquals(order.includes("connect"), false);
});

Deno.test("--verify is refused where somebody uses the NBD server of the source's QEMU", async () => {
  const inUse = { error: { class: "GenericError", desc: "NBD server already running" } };
  const { error, order } = await refusal({ "nbd-server-start": () => inUse });
  assertEquals([error.kind, error.side], ["refused", "source"]);
  assertEquals(error.message.includes("nbd-server-stop"), true, error.message);
  assertEquals(order.includes("connect"), false);
});
