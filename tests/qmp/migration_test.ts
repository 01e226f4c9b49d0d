import { assertEquals, assertRejects } from "@std/assert";
import { QmpClient, waitMigration } from "../../src/qmp/mod.ts";
import { FakeQemu } from "../support/fake_qemu.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

const isOver = (status: string) => status === "completed" || status === "failed";
const migration = (status: string) => ({ event: "MIGRATION", data: { status } });

/** Somebody who waits from the start for the end of a migration of which `query-migrate` says `info`. */
async function waiting(info: Record<string, unknown>, begun: Promise<unknown> = Promise.resolve()) {
  const [ours, theirs] = memoryPipe();
  const qemu = new FakeQemu(theirs, { "query-migrate": () => ({ return: info }) });
  const client = await QmpClient.open(ours);
  const before = qemu.received.length;
  const clock = new ManualClock();
  const over = waitMigration(client, isOver, { stallMs: 10_000, clock, begun });
  await settle();
  const asked = () => qemu.received.length - before;
  return { qemu, client, clock, over, asked };
}

Deno.test("a wait from before the start needs no query: QEMU's event is enough", async () => {
  const { qemu, client, over, asked } = await waiting({});
  await qemu.say(migration("device"));
  await qemu.say(migration("completed"));
  assertEquals([await over, asked()], [{ status: "completed", errorDesc: undefined }, 0]);
  client.close();
});

Deno.test("an event that a migration failed makes the wait query the reason at once", async () => {
  const info = { status: "failed", "error-desc": "No space left on device" };
  const { qemu, client, over } = await waiting(info);
  await qemu.say(migration("failed"));
  assertEquals((await over).errorDesc, "No space left on device");
  client.close();
});

Deno.test("an answer from before the migration's start is ignored", async () => {
  const begun = Promise.withResolvers<void>();
  const { clock, over, asked, client } = await waiting({ status: "failed" }, begun.promise);
  await clock.advance(9_000);
  assertEquals(asked(), 0);
  begun.resolve();
  await settle();
  await clock.advance(300);
  assertEquals([(await over).status, asked()], ["failed", 1]);
  client.close();
});

Deno.test("bytes that move renew the deadline, even while QEMU reports nothing new or nothing at all", async () => {
  const [ours, theirs] = memoryPipe();
  let answers = true;
  new FakeQemu(theirs, {
    "query-migrate": () => answers ? { return: { status: "device" } } : undefined,
  });
  const clock = new ManualClock();
  const client = await QmpClient.open(ours, { clock, commandTimeoutMs: 1_000 });
  let crossed = 0;
  let failed = "";
  waitMigration(client, isOver, { stallMs: 10_000, clock, progress: () => crossed })
    .catch((error) => failed = String(error));
  for (let second = 0; second < 300; second++) {
    answers = second < 100;
    if (second % 9 === 0) crossed++;
    await clock.advance(1_000);
  }
  assertEquals(failed, "");
  await clock.advance(15_000);
  assertEquals(failed.includes("no progress for 10 s"), true);
  client.close();
});

Deno.test("polling finds an end whose event was missed, and a stalled migration fails the wait", async () => {
  const missed = await waiting({ status: "completed" });
  await missed.clock.advance(300);
  assertEquals((await missed.over).status, "completed");
  missed.client.close();
  const stuck = await waiting({ status: "active" });
  const failing = assertRejects(() => stuck.over, Error, "no progress for 10 s");
  await stuck.clock.advance(11_000);
  await failing;
  stuck.client.close();
});
