import { assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/io/mod.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { fakeDestination } from "../../support/fake_destination.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { announced, cancelled, never, turns, until } from "./support.ts";

const COMMANDS = { "migrate-incoming": () => ({ return: {} }) };

Deno.test("a source waits for the destination's hook however long that takes, and it runs once", async () => {
  const clock = new ManualClock();
  const hook = Promise.withResolvers<void>();
  let runs = 0;
  const beforeSwitchover = () => {
    runs++;
    return hook.promise;
  };
  const destination = await fakeDestination(clock, COMMANDS, { beforeSwitchover });
  const one = await destination.source();
  const preparing = one.prepare(announced("one"), never);
  await turns();
  await preparing;
  await one.untilReady("prepare", never);
  let ready = false;
  const waiting = one.untilReady("switchover", never).then(() => ready = true);
  for (let s = 0; s < 120; s += 5) {
    await turns();
    await clock.advance(5_000);
  }
  assertEquals([ready, runs], [false, 1]);
  hook.resolve();
  await waiting;
  await one.openChannel("ram");
  assertEquals([runs, destination.qemu.count("migrate-incoming")], [1, 1]);
  destination.qemu.fake.close();
});

Deno.test("a hook that fails at the destination gives up the migration before QEMU gets RAM", async () => {
  const beforeSwitchover = () =>
    Promise.reject(new MigrationError("failed", "hook-failed", "destination", "no"));
  const destination = await fakeDestination(systemClock, COMMANDS, { beforeSwitchover });
  const { migration, qemu } = destination;
  const one = await destination.source();
  await one.prepare(announced("one"), never);
  const outcome = assertRejects(() => migration.outcome(), MigrationError);
  const error = await assertRejects(() => one.untilReady("switchover", never), RpcError);
  assertEquals([error.code, error.message], ["hook-failed", "no"]);
  assertEquals((await outcome).code, "hook-failed");
  assertEquals([qemu.count("migrate-incoming"), qemu.nbdServer, qemu.exports.size], [0, false, 0]);
  assertEquals(migration.memoryBegan, false);
  await one.close();
  await destination.end();
});

Deno.test("a source that does not ask for the hook gets no RAM channel before it has run", async () => {
  const order: string[] = [];
  const destination = await fakeDestination(systemClock, {
    "migrate-incoming": () => {
      order.push("migrate-incoming");
      return { return: {} };
    },
  }, {
    beforeSwitchover: () => {
      order.push("hook");
      return Promise.resolve();
    },
  });
  const one = await destination.source();
  await one.prepare(announced("one"), never);
  await one.openChannel("ram");
  assertEquals(order, ["hook", "migrate-incoming"]);
  await one.abort(cancelled("over"));
  await one.close();
  await destination.end();
});

Deno.test("a hook at the destination is stopped when the source gives up", async () => {
  let stopped = false;
  const beforeSwitchover = (signal: AbortSignal) =>
    new Promise<void>((_, reject) =>
      signal.addEventListener("abort", () => {
        stopped = true;
        reject(signal.reason);
      })
    );
  const destination = await fakeDestination(systemClock, COMMANDS, { beforeSwitchover });
  const one = await destination.source();
  await one.prepare(announced("one"), never);
  const waiting = assertRejects(() => one.untilReady("switchover", never));
  await turns();
  await one.abort(cancelled("Cancelled by SIGINT"));
  await waiting;
  await until("the hook is stopped", () => stopped);
  const error = await assertRejects(() => destination.migration.outcome(), MigrationError);
  assertEquals(error.kind, "cancelled");
  await one.close();
  await destination.end();
});
