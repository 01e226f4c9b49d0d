import { assertEquals, assertRejects } from "@std/assert";
import { type Clock, systemClock } from "../../../src/io/mod.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { fakeDestination, type WaitingQemu } from "../../support/fake_destination.ts";
import type { Commands } from "../../support/fake_qemu.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { announced, cancelled, never, pass, say, turns, until } from "./support.ts";

/** A QEMU from 9.1 on stays after a failed load. */
const STAYS: Commands = {
  "query-version": () => ({ return: { qemu: { major: 10, minor: 0, micro: 0 }, package: "" } }),
};

/** A destination whose QEMU waits for the RAM stream, with the source that opened it. */
async function receiving(commands: Commands = {}, clock: Clock = systemClock) {
  const destination = await fakeDestination(clock, {
    "migrate-incoming": () => ({ return: {} }),
    ...commands,
  });
  const one = await destination.source();
  await one.prepare(announced("one"), never);
  await one.openChannel("ram");
  return { ...destination, one };
}

function fails(qemu: WaitingQemu, reason: string): void {
  qemu.migration = "failed";
  qemu.migrationError = reason;
}

Deno.test("load is answered only when QEMU says completed, and twice with the same answer", async () => {
  const { one, qemu, written, end } = await receiving();
  qemu.migration = "active";
  let answers = 0;
  const loading = [one.load(never), one.load(never)].map((load) => load.then(() => answers++));
  await until("the NBD server is stopped", () => qemu.count("nbd-server-stop") === 1);
  await turns();
  assertEquals([answers, written.at(-1)?.state], [0, "loading"]);
  qemu.migration = "completed";
  await say(qemu, "MIGRATION", { status: "completed" });
  await Promise.all(loading);
  assertEquals([answers, written.at(-1)?.state], [2, "loaded"]);
  assertEquals([qemu.count("nbd-server-stop"), qemu.count("cont")], [1, 0]);
  await one.abort(cancelled("over"));
  await one.close();
  await end();
});

Deno.test("a guest that QEMU cannot load is given up with QEMU's reason, and finish is refused", async () => {
  const reason = "Unknown savevm section or instance 'x'";
  const { one, qemu, migration, written, end } = await receiving(STAYS);
  qemu.migration = "active";
  const loading = assertRejects(() => one.load(never), RpcError, reason);
  await until("the NBD server is stopped", () => qemu.count("nbd-server-stop") === 1);
  fails(qemu, reason);
  await say(qemu, "MIGRATION", { status: "failed" });
  assertEquals((await loading).code, "not-loaded");
  await assertRejects(() => migration.outcome(), MigrationError, reason);
  assertEquals((await assertRejects(() => one.finish(true), RpcError)).code, "not-started");
  assertEquals([qemu.count("cont"), written.at(-1)?.state], [0, "failed"]);
  await one.close();
  await end();
});

Deno.test("a stream that breaks before load ends the session with QEMU's reason", async () => {
  const clock = new ManualClock();
  const { one, qemu, migration } = await receiving(STAYS, clock);
  fails(qemu, "Unable to read");
  const outcome = assertRejects(() => migration.outcome(), MigrationError, "Unable to read");
  await say(qemu, "MIGRATION", { status: "failed" });
  await pass(clock, 30);
  assertEquals((await outcome).code, "not-loaded");
  // The source hears it although no call of its is under way.
  assertEquals((await one.session.ended)?.message.includes("Unable to read"), true);
  await one.close(100);
  qemu.fake.close();
});

Deno.test("a source that says why it has cut the stream is believed before QEMU", async () => {
  const clock = new ManualClock();
  const { one, qemu, migration } = await receiving(STAYS, clock);
  fails(qemu, "Unable to read");
  const outcome = assertRejects(() => migration.outcome(), MigrationError, "Ctrl-C");
  await say(qemu, "MIGRATION", { status: "failed" });
  const aborting = one.abort(cancelled("Ctrl-C"));
  await pass(clock, 30);
  await aborting;
  assertEquals((await outcome).kind, "cancelled");
  await one.close(100);
  qemu.fake.close();
});
