import { assert, assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { fakeDestination, type FakeDestinationOptions } from "../../support/fake_destination.ts";
import type { Commands } from "../../support/fake_qemu.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { announced, never, pass, say, STARTING, turns, until } from "./support.ts";

const GRACE_MS = 30_000;
const OK = { return: {} };
const POSTCOPY = { ...announced("one"), postcopy: { preempt: false } };

/** A destination that runs the guest of migration "one" before all of its RAM is there, and its source. */
async function following(commands: Commands = {}, options: FakeDestinationOptions = {}) {
  const clock = new ManualClock();
  const destination = await fakeDestination(clock, {
    "query-migrate-capabilities": () => ({
      return: [{ capability: "postcopy-ram", state: false }],
    }),
    "migrate-incoming": () => OK,
    "cont": () => {
      destination.qemu.status = "running";
      return OK;
    },
    "migrate-recover": () => {
      destination.qemu.migration = "setup";
      return OK;
    },
    ...commands,
  }, { graceMs: GRACE_MS, ...options });
  const { qemu, migration } = destination;
  const one = await destination.source();
  await inTime(clock, one.prepare(POSTCOPY, never));
  await inTime(clock, one.openChannel("ram"));
  qemu.migration = "postcopy-active";
  qemu.status = "paused";
  await inTime(clock, one.load(never));
  await inTime(clock, one.finish(true));
  assertEquals(destination.written.at(-1)?.state, "postcopy");
  let over = false;
  migration.outcome().then(() => over = true, () => over = true);
  return {
    ...{ ...destination, clock, one },
    isOver: () => over,
    /** QEMU's migration has this status from now on, and it says so. */
    async say(status: string): Promise<void> {
      qemu.migration = status;
      await say(qemu, "MIGRATION", { status });
    },
    async stop(): Promise<void> {
      await one.close(100);
      qemu.fake.close();
    },
  };
}

/** Moves the clock on in small steps until `work` has ended. */
async function inTime<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let over = false;
  work.then(() => over = true, () => over = true);
  for (let i = 0; i < 1000 && !over; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (!over) await clock.advance(20);
  }
  if (!over) throw new Error(`not over after ${clock.now()} ms`);
  return await work;
}

Deno.test("a guest whose RAM follows has arrived when QEMU has all of it, and not before", async () => {
  const there = await following();
  await pass(there.clock, 200);
  assertEquals(there.isOver(), false);
  await there.say("completed");
  await inTime(there.clock, there.migration.outcome());
  assertEquals(there.written.at(-1)?.state, "finished");
  await there.stop();
});

Deno.test("a source that stays away for the grace ends the wait, and the record stays", async () => {
  const there = await following();
  await there.one.close(100);
  await turns();
  await there.clock.advance(GRACE_MS - 1);
  assertEquals(there.isOver(), false);
  await there.clock.advance(1);
  const error = await assertRejects(() => there.migration.outcome(), MigrationError);
  assertEquals(
    [error.kind, error.code, error.side],
    ["unknown", "postcopy-paused", "destination"],
  );
  assertEquals([there.written.at(-1)?.state, there.qemu.count("quit")], ["postcopy", 0]);
  await there.stop();
});

Deno.test("a source that comes back within the grace is waited for again", async () => {
  const there = await following();
  await there.one.close(100);
  await turns();
  await there.clock.advance(GRACE_MS - 1);
  const two = await there.source();
  assertEquals((await two.attach("one")).state, "postcopy");
  await pass(there.clock, 300);
  assertEquals(there.isOver(), false);
  await two.close(100);
  await there.stop();
});

Deno.test("a process that is started again waits for a source for the grace", async () => {
  const clock = new ManualClock();
  const { migration, qemu } = await fakeDestination(clock, {}, {
    ...{ graceMs: GRACE_MS, resume: { ...STARTING, state: "postcopy" } },
  });
  qemu.migration = "postcopy-paused";
  await migration.resume();
  let over = false;
  const outcome = migration.outcome().finally(() => over = true);
  outcome.catch(() => {});
  await clock.advance(GRACE_MS - 1);
  assertEquals(over, false);
  await clock.advance(1);
  const error = await assertRejects(() => outcome, MigrationError, "no source has come");
  assertEquals(error.code, "postcopy-paused");
  qemu.fake.close();
});

Deno.test("recover has a QEMU that noticed the break wait for RAM again", async () => {
  const there = await following();
  await there.say("postcopy-paused");
  assertEquals(await inTime(there.clock, there.one.recover()), false);
  assertEquals(there.qemu.count("migrate-pause"), 0);
  assertEquals(there.qemu.count("migrate-recover"), 1);
  // Its source did not come, and asks again: QEMU waits already.
  assertEquals(await inTime(there.clock, there.one.recover()), false);
  assertEquals(there.qemu.count("migrate-recover"), 1);
  await there.stop();
});

Deno.test("recover has a QEMU notice the break after a second, once", async () => {
  const there = await following({
    "migrate-pause": () => {
      there.clock.after(500, () => there.qemu.migration = "postcopy-paused");
      return OK;
    },
  });
  const recovering = there.one.recover();
  await until("the destination looks", () => there.clock.armed > 1);
  await pass(there.clock, 0.9);
  assertEquals(there.qemu.count("migrate-pause"), 0);
  assertEquals(await inTime(there.clock, recovering), false);
  assertEquals(there.qemu.count("migrate-pause"), 1);
  await there.stop();
});

Deno.test("recover answers that RAM is whole where only QEMU's last word was lost", async () => {
  const there = await following();
  await there.say("completed");
  assertEquals(await inTime(there.clock, there.one.recover()), true);
  assertEquals(await inTime(there.clock, there.one.recover()), true);
  assertEquals(there.qemu.count("migrate-recover"), 0);
  await there.stop();
});

Deno.test("recover fails with QEMU's reason, and the migration goes on", async () => {
  const there = await following({
    "migrate-recover": () => ({ error: { class: "GenericError", desc: "address in use" } }),
  });
  await there.say("postcopy-paused");
  const recovering = inTime(there.clock, there.one.recover());
  await assertRejects(() => recovering, RpcError, "address in use");
  assertEquals(there.isOver(), false);
  await there.stop();
});

Deno.test("recover of a QEMU whose migration has failed fails", async () => {
  const there = await following();
  there.qemu.migration = "failed";
  const recovering = inTime(there.clock, there.one.recover());
  await assertRejects(() => recovering, RpcError, '"failed"');
  await there.stop();
});

Deno.test("a source whose QEMU has ended is not waited for, and no RAM is asked for again", async () => {
  const there = await following();
  await there.say("postcopy-paused");
  const askedAt = there.clock.now();
  assertEquals(await inTime(there.clock, there.one.ramLost()), false);
  assert(there.clock.now() - askedAt < 2_000, "QEMU waits already: nothing is under way");
  const error = await assertRejects(() => there.migration.outcome(), MigrationError);
  assertEquals([error.kind, error.code, error.side], ["unknown", "postcopy-lost", "source"]);
  assertEquals([there.written.at(-1)?.state, there.qemu.count("quit")], ["postcopy", 0]);
  // The end of its session does not replace that.
  await there.one.close(100);
  await pass(there.clock, 100);
  assertEquals(await assertRejects(() => there.migration.outcome()), error);
  await there.stop();
});

Deno.test("RAM that is under way when the source's QEMU ends may still be all of it", async () => {
  const there = await following();
  const asking = there.one.ramLost();
  await turns();
  await there.clock.advance(4_000);
  assertEquals(there.isOver(), false);
  await there.say("completed");
  assertEquals(await inTime(there.clock, asking), true);
  await inTime(there.clock, there.migration.outcome());
  assertEquals(await inTime(there.clock, there.one.ramLost()), true);
  await there.stop();
});

Deno.test("a QEMU that does not notice the end of the source's QEMU is not waited for either", async () => {
  const there = await following();
  assertEquals(await inTime(there.clock, there.one.ramLost()), false);
  const error = await assertRejects(() => there.migration.outcome(), MigrationError);
  assertEquals(error.code, "postcopy-lost");
  await there.stop();
});

Deno.test("without a guest that RAM follows, recover and ramLost are refused", async () => {
  const destination = await fakeDestination(new ManualClock());
  const one = await destination.source();
  await one.prepare(announced("one"), never);
  await assertRejects(() => one.recover(), RpcError, 'No post-copy in state "prepared"');
  await assertRejects(() => one.ramLost(), RpcError, 'No post-copy in state "prepared"');
  await one.close(100);
  destination.qemu.fake.close();
});
