import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { DeadlineError, systemClock, withDeadline } from "../../../src/io/mod.ts";
import { firstRecord } from "../../../src/migrate/journal.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { DISK, fakeDestination, GUEST } from "../../support/fake_destination.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";

const never = new AbortController().signal;
const announced = (migration: string) => ({
  ...{ migration, guest: GUEST, disks: [DISK], shared: null, checkOnly: false },
});
const cancelled = (reason: string) => ({
  ...{ reason, cancelled: true, code: "cancelled", side: "source" as const },
});

/** Lets what is under way over pipes in memory go on for a while. */
const turns = async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 0));
};

Deno.test("of two sources that come at once one is refused, and the other one's exports stay", async () => {
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

Deno.test("a check beside a migration that is being prepared is refused and touches nothing", async () => {
  const destination = await fakeDestination(systemClock);
  const [one, two] = await Promise.all([destination.source(), destination.source()]);
  await one.prepare(announced("one"), never);
  const check = { ...announced("two"), checkOnly: true };
  await assertRejects(() => two.prepare(check, never), RpcError, "Another migration is under way");
  assertEquals(destination.qemu.exports.size, 1);
  await Promise.all([one.close(), two.close()]);
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

for (const held of ["stop", "query-migrate-capabilities", "nbd-server-start"]) {
  Deno.test(`given up while QEMU takes its time over ${held}: nothing of it is left`, async () => {
    const destination = await fakeDestination(systemClock, { [held]: () => undefined });
    const { qemu, migration } = destination;
    const source = await destination.source();
    const preparing = assertRejects(() => source.prepare(announced("one"), never));
    while (qemu.count(held) === 0) await turns();
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

Deno.test("a source that gives up while it is prepared for is heard, as what it is", async () => {
  const destination = await fakeDestination(systemClock, { "query-uuid": () => undefined });
  const { qemu, migration } = destination;
  const source = await destination.source();
  const preparing = assertRejects(() => source.prepare(announced("one"), never));
  while (qemu.count("query-uuid") === 0) await turns();
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

Deno.test("a source that gives up because of this end's disk is told as this end's fault", async () => {
  const full = {
    ...{ reason: "No space left on device while writing disk vd0", cancelled: false },
    ...{ code: "disk-full", side: "destination" as const },
  };
  const old = { ...full, code: null, side: null };
  const hostile = { ...full, code: "x\n\x1b[2J" };
  for (
    const [why, told] of [
      [full, "failed,disk-full,destination"],
      [old, "failed,aborted-by-source,source"],
      [hostile, "failed,x??[2J,destination"],
      [cancelled("Ctrl-C"), "cancelled,cancelled,source"],
    ] as const
  ) {
    const destination = await fakeDestination(systemClock);
    const source = await destination.source();
    await source.prepare(announced("one"), never);
    await source.abort(why);
    const error = await assertRejects(() => destination.migration.outcome(), MigrationError);
    assertEquals([error.kind, error.code, error.side].join(), told);
    assertEquals(error.message, why.reason);
    await source.close();
    await destination.end();
  }
});

Deno.test("QEMU's one incoming migration is used up from when it was told to wait for it", async () => {
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

Deno.test("a tool that comes again while it is prepared for gets what is being prepared", async () => {
  const destination = await fakeDestination(systemClock, { "nbd-server-start": () => undefined });
  const { qemu } = destination;
  const [one, two] = await Promise.all([destination.source(), destination.source()]);
  one.prepare(announced("one"), never).catch(() => {});
  while (qemu.count("nbd-server-start") === 0) await turns();
  const again = two.prepare(announced("one"), never);
  await turns();
  await qemu.fake.answer("nbd-server-start", { return: {} });
  assertEquals((await again).exports.length, 1);
  assertEquals(qemu.count("nbd-server-start"), 1);
  await two.abort(cancelled("over"));
  await Promise.all([one.close(100), two.close()]);
  await destination.end();
});

const STARTING = {
  ...firstRecord({ migration: "one", qmp: "/qmp", listen: "tcp://x:1" }),
  state: "starting" as const,
  incomingStarted: true,
  run: true,
};

Deno.test("a finished destination waits for its own source to ask, whoever else asks before", async () => {
  const destination = await fakeDestination(systemClock, {}, { ...STARTING, state: "finished" });
  const { migration } = destination;
  await migration.resume();
  await migration.outcome();
  let told = false;
  migration.told.then(() => told = true);
  for (const [asks, isTold] of [["another", false], ["one", true]] as const) {
    const source = await destination.source();
    await source.status(asks);
    await source.close();
    await turns();
    assertEquals(told, isTold, asks);
  }
  await destination.end();
});

Deno.test("a QEMU that does not say that the guest runs: nobody knows, and it is not ended", async () => {
  const clock = new ManualClock();
  const silent = { "cont": () => ({ return: {} }), "query-status": () => undefined };
  const destination = await fakeDestination(clock, silent, STARTING);
  const { migration, qemu, written } = destination;
  qemu.migration = "completed";
  const taken = migration.resume();
  const outcome = assertRejects(() => migration.outcome(), MigrationError);
  for (let s = 0; s < 200; s += 10) {
    await clock.advance(10_000);
    await turns();
  }
  const error = await outcome;
  assertEquals([error.kind, error.code], ["unknown", "not-seen-running"]);
  assertEquals([written.at(-1)?.state, qemu.count("quit")], ["lost", 0]);
  await taken;
  await settle();
  qemu.fake.close();
});

for (
  const [status, warns] of [["paused", true], ["io-error", true], ["suspended", false]] as const
) {
  Deno.test(`a guest that has run and is "${status}" when it is looked at is there, and let run once`, async () => {
    const warnings: string[] = [];
    const destination = await fakeDestination(
      systemClock,
      {
        "cont": () => {
          const timestamp = { seconds: 1, microseconds: 0 };
          destination.qemu.fake.say({ event: "RESUME", data: {}, timestamp });
          return { return: {} };
        },
        "query-status": () => ({ return: { status, running: status === "suspended" } }),
      },
      STARTING,
      (event) => event.event === "warning" && warnings.push(event.message),
    );
    await destination.migration.resume();
    await destination.migration.outcome();
    assertEquals([destination.qemu.count("cont"), destination.written.at(-1)?.state], [
      1,
      "finished",
    ]);
    assertEquals(warnings.length, warns ? 1 : 0);
    await destination.end();
  });
}

Deno.test("a guest that has run is not let run again, however often it is asked for", async () => {
  const clock = new ManualClock();
  let answers = false;
  const destination = await fakeDestination(clock, {
    "cont": () => {
      const timestamp = { seconds: 1, microseconds: 0 };
      destination.qemu.fake.say({ event: "RESUME", data: {}, timestamp });
      return { return: {} };
    },
    "query-status": () => answers ? { return: { status: "paused", running: false } } : undefined,
  }, STARTING);
  const { migration, qemu } = destination;
  const first = migration.resume();
  while (qemu.count("query-status") === 0) await turns();
  for (let s = 0; s < 70; s += 10) {
    await clock.advance(10_000);
    await turns();
  }
  await first;
  assertEquals(destination.written.at(-1)?.state, undefined, "QEMU has not said how it is");
  answers = true;
  const source = await destination.source();
  await source.attach("one", never);
  const finishing = source.finish(true);
  for (let i = 0; i < 20; i++) {
    await turns();
    await clock.advance(100);
  }
  assertEquals(await finishing, { status: "paused" });
  assertEquals(qemu.count("cont"), 1);
  qemu.fake.close();
});

Deno.test("a guest that is to stand is said to be there only when QEMU says so", async () => {
  let answers = 0;
  const destination = await fakeDestination(systemClock, {
    "query-status": () =>
      answers++ === 0
        ? { error: { class: "GenericError", desc: "not now" } }
        : { return: { status: "paused", running: false } },
  }, { ...STARTING, run: false });
  await destination.migration.resume();
  assertEquals(destination.written.at(-1)?.state, undefined, "nothing is claimed");
  const source = await destination.source();
  await source.attach("one", never);
  assertEquals(await source.finish(false), { status: "paused" });
  assertEquals(destination.written.at(-1)?.state, "finished");
  await source.close();
  await destination.end();
});

Deno.test("a finish that comes before its time changes nothing, neither now nor later", async () => {
  const clock = new ManualClock();
  const destination = await fakeDestination(clock);
  const source = await destination.source();
  const preparing = source.prepare(announced("one"), never);
  await turns();
  await preparing;
  await assertRejects(() => source.finish(true), RpcError);
  for (let s = 0; s < 200; s += 10) {
    await clock.advance(10_000);
    await turns();
  }
  assertEquals((await source.status("one")).state, "prepared");
  const aborting = source.abort(cancelled("over"));
  for (let i = 0; i < 20; i++) {
    await clock.advance(100);
    await turns();
  }
  await aborting;
  await source.close(100);
  destination.qemu.fake.close();
});

Deno.test("taken up again, a guest that was not seen to run is still unknown, and not lost sight of", async () => {
  const lost = { ...STARTING, state: "lost" as const };
  const destination = await fakeDestination(systemClock, {}, lost);
  await destination.migration.resume();
  const error = await assertRejects(() => destination.migration.outcome(), MigrationError);
  assertEquals([error.kind, error.code], ["unknown", "not-seen-running"]);
  assertEquals(destination.qemu.count("quit"), 0);
  destination.qemu.fake.close();
});

Deno.test("a guest that QEMU still loads when it is given up is waited for, and ended once it is whole", async () => {
  const loading = { "migrate-incoming": () => ({ return: {} }) };
  const destination = await fakeDestination(systemClock, loading);
  const { qemu } = destination;
  const source = await destination.source();
  await source.prepare(announced("one"), never);
  // Told to wait for it; how it comes is of no matter here.
  await source.openChannel("ram");
  qemu.migration = "active";
  const asked = qemu.count("query-migrate");
  let over = false;
  const aborting = source.abort(cancelled("Ctrl-C")).then(() => over = true);
  while (qemu.count("query-migrate") === asked) await turns();
  await turns();
  assertEquals([over, qemu.count("quit")], [false, 0]);
  qemu.migration = "completed";
  await aborting;
  assertEquals(qemu.count("quit"), 1);
  await source.close();
  await destination.end();
});

for (
  const [version, ends] of [["7.2", true], ["9.0", true], ["9.1", false], ["10.0", false]] as const
) {
  const what = ends ? "ends by itself, and is waited for" : "stays, and is not waited for";
  Deno.test(`a QEMU ${version} that could not load what had crossed ${what}`, async () => {
    const [major, minor] = version.split(".").map(Number);
    const destination = await fakeDestination(systemClock, {
      "migrate-incoming": () => ({ return: {} }),
      "query-version": () => ({ return: { qemu: { major, minor, micro: 0 }, package: "" } }),
    });
    const { qemu } = destination;
    const source = await destination.source();
    await source.prepare(announced("one"), never);
    await source.openChannel("ram");
    qemu.migration = "failed";
    const aborting = source.abort(cancelled("Ctrl-C"));
    if (ends) {
      // Without the wait the answer is there within a few ms.
      await assertRejects(
        () => withDeadline(systemClock, 400, "an answer", aborting),
        DeadlineError,
      );
      qemu.fake.close();
    }
    await withDeadline(systemClock, 5_000, "an answer", aborting);
    assertEquals(qemu.count("quit"), 0);
    await source.close();
    await destination.end();
  });
}

Deno.test("a source that asks for the guest to be loaded hears why it was given up, not what came of that", async () => {
  const loading = {
    "migrate-incoming": () => ({ return: {} }),
    "block-export-del": () => undefined,
  };
  const destination = await fakeDestination(systemClock, loading);
  const { qemu, migration } = destination;
  const source = await destination.source();
  await source.prepare(announced("one"), never);
  await source.openChannel("ram");
  qemu.migration = "active";
  const loaded = assertRejects(() => source.load(never), RpcError);
  await turns();
  const reason = new MigrationError(
    "cancelled",
    "cancelled",
    "destination",
    "Cancelled by SIGTERM",
  );
  const cancelling = migration.cancel(reason);
  qemu.migration = "failed";
  // It is heard before all is taken back.
  assertEquals((await loaded).message, reason.message);
  qemu.exports.clear();
  await qemu.fake.answer("block-export-del", { return: {} });
  while (qemu.count("query-migrate") < 2) await turns();
  qemu.fake.close();
  await cancelling;
  await source.close(100);
  await destination.end();
});
