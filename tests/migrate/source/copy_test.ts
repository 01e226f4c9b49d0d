import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { copy } from "../../../src/migrate/source/copy.ts";
import { prepared, until } from "./phases.ts";

const NEVER_READY = { "blockdev-mirror": () => ({ return: {} }) };

Deno.test("copy returns when every mirror is ready, with the state still mirror", async () => {
  const { source, result } = await prepared();
  await copy(source.context, result);
  assertEquals(source.context.state.current, "mirror");
  assertEquals(source.order.slice(-3), [
    "qmp:blockdev-add",
    "qmp:blockdev-mirror",
    "rpc:openTunnel nbd",
  ]);
  await source.end();
});

Deno.test("copy fails with the cause while a mirror is not ready", async () => {
  const { source, result } = await prepared({ commands: NEVER_READY });
  const copying = copy(source.context, result);
  await until("the mirror has started", () => source.qemu.count("blockdev-mirror") === 1);
  source.context.fault(new MigrationError("cancelled", "cancelled", "source", "Cancelled"));
  await assertRejects(() => copying, MigrationError, "Cancelled");
  await source.end();
});

Deno.test("a mirror that ends before it is ready fails the migration by its disk", async () => {
  const { source, result } = await prepared({ commands: NEVER_READY });
  const copying = copy(source.context, result);
  await until("the mirror has started", () => source.qemu.count("blockdev-mirror") === 1);
  const { jobId } = source.context.record.mirrors[0]!;
  await source.qemu.job(jobId, "running");
  await source.clock.advance(1000);
  await until("the job was seen", () => result.mirrors.progress[0]!.transferred > 0);
  source.qemu.jobs.delete(jobId);
  await source.clock.advance(1000);
  await until("QEMU was asked again", () => source.context.cause !== undefined);
  await source.clock.advance(10_000);
  const error = await assertRejects(() => copying, MigrationError, "the mirror job is gone");
  assertEquals(error.message.includes("disk vd0"), true, error.message);
  await source.end();
});

Deno.test("a guest that was paused for the last bytes runs before its RAM begins to cross", async () => {
  const { source, result } = await prepared({ commands: NEVER_READY });
  const { context } = source;
  const copying = copy(context, result);
  await until("the mirror has started", () => source.qemu.count("blockdev-mirror") === 1);
  const ready = Promise.withResolvers<void>();
  const pausing = context.pauses.hold(() => ready.promise);
  await until("the guest is paused", () => source.qemu.status === "paused");
  assertEquals(source.written.at(-1)?.stopped, "held");
  await source.qemu.job(context.record.mirrors[0]!.jobId, "ready");
  let over = false;
  copying.then(() => over = true);
  await source.clock.advance(10);
  assertEquals(over, false);
  ready.resolve();
  await pausing;
  await copying;
  assertEquals([source.qemu.status, source.written.at(-1)?.stopped], ["running", "no"]);
  await source.end();
});
