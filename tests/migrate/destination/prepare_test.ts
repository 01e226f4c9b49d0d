import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/io/mod.ts";
import { MigrationError, type MigrationEvent } from "../../../src/migrate/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { DISK, fakeDestination, GUEST } from "../../support/fake_destination.ts";
import { announced, cancelled, never, turns, until } from "./support.ts";

Deno.test("prepare of two sources at once: the second is refused, and the exports of the first stay", async () => {
  const destination = await fakeDestination(systemClock);
  const [one, two] = await Promise.all([destination.source(), destination.source()]);
  const ends = await Promise.allSettled([
    one.prepare(announced("one"), never),
    two.prepare(announced("two"), never),
  ]);
  const [taken, refused] = ends[0].status === "fulfilled" ? [one, two] : [two, one];
  const refusal = ends.find((end) => end.status === "rejected");
  assertEquals((refusal?.reason as RpcError).code, "refused");
  assertEquals(ends.filter((end) => end.status === "fulfilled").length, 1);
  await refused.close();
  await turns();
  assertEquals([destination.qemu.nbdServer, destination.qemu.exports.size], [true, 1]);
  await taken.abort(cancelled("over"));
  assertEquals([destination.qemu.nbdServer, destination.qemu.exports.size], [false, 0]);
  await taken.close();
  await destination.end();
});

Deno.test("a destination names why its source gave up before it prepared, and serves the next one", async () => {
  const events: MigrationEvent[] = [];
  const report = (event: MigrationEvent) => void events.push(event);
  const destination = await fakeDestination(systemClock, {}, { report });
  const refused = await destination.source();
  await refused.abort({ ...cancelled("the guest has a block job"), cancelled: false });
  await refused.abort(cancelled("cleans up"));
  await refused.close();
  const warnings = events.filter((event) => event.event === "warning");
  assertEquals(warnings.map(({ code }) => code), ["source-left"]);
  assertMatch(warnings[0]!.message, /the guest has a block job/);
  const next = await destination.source();
  await next.prepare(announced("next"), never);
  // One that comes now does not concern the migration of the other.
  const late = await destination.source();
  await late.abort(cancelled("another migration is under way"));
  assertEquals(events.filter((event) => event.event === "warning").length, 1);
  await Promise.all([next.close(), late.close()]);
  await destination.end();
});

Deno.test("a check during a migration is refused and changes nothing", async () => {
  const destination = await fakeDestination(systemClock);
  const [one, two] = await Promise.all([destination.source(), destination.source()]);
  await one.prepare(announced("one"), never);
  const check = { ...announced("two"), checkOnly: true };
  await assertRejects(() => two.prepare(check, never), RpcError, "Another migration is under way");
  assertEquals(destination.qemu.exports.size, 1);
  await Promise.all([one.close(), two.close()]);
  await destination.end();
});

for (const held of ["stop", "query-migrate-capabilities", "nbd-server-start"]) {
  Deno.test(`a migration given up before QEMU answers ${held} is undone completely`, async () => {
    const destination = await fakeDestination(systemClock, { [held]: () => undefined });
    const { qemu, migration } = destination;
    const source = await destination.source();
    const preparing = assertRejects(() => source.prepare(announced("one"), never));
    await until("QEMU has the command", () => qemu.count(held) > 0);
    migration.cancel(new MigrationError("cancelled", "cancelled", "destination", "Cancelled"));
    await turns();
    if (held === "nbd-server-start") qemu.nbdServer = true;
    const answer = held === "query-migrate-capabilities" ? [] : {};
    await qemu.fake.answer(held, { return: answer });
    const error = await assertRejects(() => migration.outcome(), MigrationError);
    assertEquals(error.kind, "cancelled");
    // Whatever had begun to be made has come to its end by then.
    await preparing;
    await turns();
    assertEquals([qemu.nbdServer, qemu.exports.size], [false, 0]);
    await source.close(100);
    await destination.end();
  });
}

Deno.test("an abort during prepare ends the migration with the source's reason", async () => {
  const destination = await fakeDestination(systemClock, { "query-uuid": () => undefined });
  const { qemu, migration } = destination;
  const source = await destination.source();
  const preparing = assertRejects(() => source.prepare(announced("one"), never));
  await until("QEMU has the command", () => qemu.count("query-uuid") > 0);
  const aborting = source.abort(cancelled("Ctrl-C"));
  await turns();
  await qemu.fake.answer("query-uuid", { return: { UUID: GUEST.name } });
  const error = await assertRejects(() => migration.outcome(), MigrationError, "Ctrl-C");
  await Promise.all([preparing, aborting]);
  await turns();
  assertEquals([error.kind, qemu.nbdServer], ["cancelled", false]);
  await source.close();
  await destination.end();
});

Deno.test("QEMU's one incoming migration counts as used once the ram channel was opened", async () => {
  const destination = await fakeDestination(systemClock, {
    "migrate-incoming": () => ({ return: {} }),
  });
  const { migration, qemu } = destination;
  const source = await destination.source();
  await source.prepare(announced("one"), never);
  assertEquals(migration.memoryBegan, false);
  await source.openChannel("ram");
  assertEquals(migration.memoryBegan, true);
  qemu.fake.close();
  await assertRejects(() => migration.outcome(), MigrationError);
  assertEquals(migration.memoryBegan, true);
  await source.close(100);
  await destination.end();
});

Deno.test("a source that prepares again in another session gets the exports of the first time", async () => {
  const destination = await fakeDestination(systemClock, { "nbd-server-start": () => undefined });
  const { qemu } = destination;
  const [one, two] = await Promise.all([destination.source(), destination.source()]);
  one.prepare(announced("one"), never).catch(() => {});
  await until("QEMU has the command", () => qemu.count("nbd-server-start") > 0);
  const again = two.prepare(announced("one"), never);
  await turns();
  await qemu.fake.answer("nbd-server-start", { return: {} });
  assertEquals((await again).exports.length, 1);
  assertEquals(qemu.count("nbd-server-start"), 1);
  await two.abort(cancelled("over"));
  await Promise.all([one.close(100), two.close()]);
  await destination.end();
});

Deno.test("a source that compares nothing, as before 1.1, is warned", async () => {
  const destination = await fakeDestination(systemClock);
  const [older, current] = [await destination.source(), await destination.source()];
  const check = { ...announced("one"), checkOnly: true };
  const { warnings } = await older.prepare(check, never);
  assertEquals(warnings.length, 1);
  assertMatch(warnings[0]!, /too old to compare/);
  await current.describeDisks({ disks: [DISK] }, never);
  assertEquals((await current.prepare(check, never)).warnings, []);
  assertEquals((await current.prepare(announced("two"), never)).warnings, []);
  await Promise.all([older.close(), current.close()]);
  await destination.end();
});

Deno.test("a source whose disks are encrypted is warned of those that are not at the destination", async () => {
  const destination = await fakeDestination(systemClock);
  const source = await destination.source();
  await source.describeDisks({ disks: [DISK] }, never);
  const asking = { ...announced("one"), encrypted: [DISK.name] };
  for (const checkOnly of [true, false]) {
    const { warnings } = await source.prepare({ ...asking, checkOnly }, never);
    assertEquals(warnings.length, 1);
    assertMatch(warnings[0]!, /^disk vd0 is encrypted at the source/);
  }
  await source.close();
  await destination.end();
});

Deno.test("a disk with share-rw=on is described, though nothing is copied to it", async () => {
  const destination = await fakeDestination(systemClock, {
    "qom-get": ({ property }) => ({ return: property === "share-rw" }),
  });
  const source = await destination.source();
  const { disks } = await source.describeDisks({ disks: [DISK] }, never);
  assertEquals(disks.map(({ disk, local }) => [disk, local]), [["vd0", "vd0"]]);
  const error = await assertRejects(() => source.prepare(announced("one"), never), RpcError);
  assertMatch(error.message, /it is shared with other guests/);
  await source.close();
  await destination.end();
});

Deno.test("the journal says that RAM comes before QEMU gets migrate-incoming", async () => {
  const order: string[] = [];
  const destination = await fakeDestination(systemClock, {
    "migrate-incoming": () => {
      order.push("migrate-incoming");
      return { return: {} };
    },
  }, {
    onWrite: ({ incomingStarted }) =>
      Promise.resolve(void order.push(`started ${incomingStarted}`)),
  });
  const source = await destination.source();
  await source.prepare(announced("one"), never);
  order.length = 0;
  await source.openChannel("ram");
  assertEquals(order, ["started true", "migrate-incoming"]);
  // QEMU takes one in its life.
  await assertRejects(() => source.openChannel("ram"), RpcError);
  assertEquals(order.length, 2);
  await source.close(100);
  await destination.end();
});

Deno.test("the journal has the exports and the settings before QEMU is changed", async () => {
  const order: string[] = [];
  const noted = (command: string) => () => {
    order.push(command);
    return { return: {} };
  };
  const destination = await fakeDestination(systemClock, {
    "migrate-set-capabilities": noted("migrate-set-capabilities"),
    "nbd-server-start": noted("nbd-server-start"),
  }, {
    onWrite: ({ state, exports }) => Promise.resolve(void order.push(`${state} ${exports.length}`)),
  });
  const source = await destination.source();
  await source.prepare(announced("one"), never);
  assertEquals(order, ["waiting 1", "migrate-set-capabilities", "nbd-server-start", "prepared 1"]);
  await source.close(100);
  await destination.end();
});
