/** A guest that is loaded here and was paused there: every order of events, one guest or none lost. */
import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import type { DestinationRecord } from "../../../src/migrate/journal.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { cancelled, loaded, never, pass, say, turns, until } from "./support.ts";

const CANCELLED = new MigrationError("cancelled", "cancelled", "destination", "Cancelled here");

/** Rejects with an `RpcError` of this code. */
async function rejects(code: string, call: () => Promise<unknown>): Promise<RpcError> {
  const error = await assertRejects(call, RpcError);
  assertEquals(error.code, code);
  return error;
}

/** A journal whose write of `state` waits until it is released. */
function slowJournal(state: DestinationRecord["state"]) {
  const gate = Promise.withResolvers<void>();
  let reached = false;
  const onWrite = async (record: DestinationRecord) => {
    if (record.state !== state) return;
    reached = true;
    await gate.promise;
  };
  return { onWrite, release: gate.resolve, isReached: () => reached };
}

Deno.test("the journal says starting before QEMU gets cont, and finished before the answer", async () => {
  const order: string[] = [];
  const destination = await loaded({
    commands: {
      "cont": () => {
        order.push("cont");
        destination.qemu.status = "running";
        return { return: {} };
      },
    },
    onWrite: (record) => Promise.resolve(void order.push(record.state)),
  });
  order.length = 0;
  await destination.one.finish(true).then(() => order.push("answer"));
  assertEquals(order, ["starting", "cont", "finished", "answer"]);
  await destination.migration.outcome();
  await destination.one.close();
  await destination.end();
});

Deno.test("finish asked twice, before and after the answer, gives QEMU one cont and the same answer", async () => {
  const { one, qemu, written, end } = await loaded({ commands: { "cont": () => undefined } });
  const first = one.finish(true);
  await until("QEMU has cont", () => qemu.count("cont") === 1);
  const second = one.finish(true);
  await turns();
  assertEquals(qemu.count("cont"), 1);
  qemu.status = "running";
  await qemu.fake.answer("cont", { return: {} });
  assertEquals(await Promise.all([first, second]), [{ status: "running" }, { status: "running" }]);
  assertEquals(await one.finish(true), { status: "running" });
  assertEquals(qemu.count("cont"), 1);
  assertEquals(written.filter((record) => record.state === "starting").length, 1);
  await one.close();
  await end();
});

Deno.test("a cont that QEMU refuses gives the guest up for good, in the journal before the answer", async () => {
  const order: string[] = [];
  const { one, qemu, written, migration, end } = await loaded({
    commands: {
      "cont": () => ({ error: { class: "GenericError", desc: "Failed to get write lock" } }),
    },
    onWrite: (record) => Promise.resolve(void order.push(record.state)),
  });
  const error = await rejects("not-started", () => one.finish(true));
  assertEquals(error.message, "The guest could not be started: Failed to get write lock");
  assertEquals(order.at(-1), "failed");
  assertEquals([qemu.count("cont"), qemu.count("quit")], [1, 1]);
  await rejects("not-started", () => one.finish(true));
  assertEquals([qemu.count("cont"), written.at(-1)?.state], [1, "failed"]);
  assertEquals((await one.status("one")).state, "failed");
  await assertRejects(() => migration.outcome(), MigrationError, "Failed to get write lock");
  await one.close();
  await end();
});

Deno.test("a QEMU that is silent for three minutes after finish is left alone, and the outcome is unknown", async () => {
  const clock = new ManualClock();
  let silent = false;
  const { one, qemu, written, migration } = await loaded({
    clock,
    commands: {
      "cont": () => {
        silent = true;
        return { return: {} };
      },
      "query-status": () =>
        silent ? undefined : { return: { status: "inmigrate", running: false } },
    },
  });
  const outcome = assertRejects(() => migration.outcome(), MigrationError);
  const first = one.finish(true).catch((error) => error);
  await until("QEMU has cont", () => qemu.count("cont") === 1);
  await pass(clock, 170);
  assertEquals((await first) instanceof Error, true);
  assertEquals(written.at(-1)?.state, "starting");
  await pass(clock, 20);
  const error = await outcome;
  assertEquals([error.kind, error.code], ["unknown", "not-seen-running"]);
  assertEquals([written.at(-1)?.state, qemu.count("cont"), qemu.count("quit")], ["lost", 1, 0]);
  await one.close(100);
  qemu.fake.close();
});

Deno.test("a QEMU that ends after cont leaves the outcome unknown: the source must not run the guest", async () => {
  const { one, qemu, written, migration } = await loaded({
    commands: { "cont": () => undefined },
  });
  const finishing = rejects("lost", () => one.finish(true));
  await until("QEMU has cont", () => qemu.count("cont") === 1);
  qemu.fake.close();
  await finishing;
  const error = await assertRejects(() => migration.outcome(), MigrationError);
  assertEquals([error.kind, error.code], ["unknown", "lost"]);
  assertEquals([written.at(-1)?.state, written.some((r) => r.state === "failed")], ["lost", false]);
  await one.close(100);
});

Deno.test("an abort while QEMU starts the guest, or later, is refused, and the guest runs", async () => {
  const { one, qemu, written, migration, end } = await loaded({
    commands: { "cont": () => undefined },
  });
  const finishing = one.finish(true);
  await until("QEMU has cont", () => qemu.count("cont") === 1);
  await rejects("failed", () => one.abort(cancelled("Ctrl-C")));
  qemu.status = "running";
  await qemu.fake.answer("cont", { return: {} });
  assertEquals(await finishing, { status: "running" });
  await rejects("failed", () => one.abort(cancelled("Ctrl-C")));
  assertEquals([written.at(-1)?.state, qemu.count("quit")], ["finished", 0]);
  await migration.outcome();
  await one.close();
  await end();
});

Deno.test("an abort while the journal is about to say starting is refused, and the guest runs", async () => {
  const journal = slowJournal("starting");
  const { one, qemu, migration, end } = await loaded(journal);
  const finishing = one.finish(true);
  await until("the journal is written", journal.isReached);
  await rejects("failed", () => one.abort(cancelled("Ctrl-C")));
  journal.release();
  assertEquals(await finishing, { status: "running" });
  assertEquals([qemu.count("cont"), qemu.count("quit")], [1, 0]);
  await migration.outcome();
  await one.close();
  await end();
});

Deno.test("a second session that attaches to a loaded guest is the only one that can finish or abort it", async () => {
  const destination = await loaded();
  const { one, qemu, written, end } = destination;
  const two = await destination.source();
  assertEquals((await two.attach("one", never)).state, "loaded");
  await assertRejects(() => one.finish(true));
  await turns();
  // The end of the session that was replaced gives nothing up.
  assertEquals([written.at(-1)?.state, qemu.count("cont")], ["loaded", 0]);
  const stranger = await destination.source();
  await rejects("unknown-migration", () => stranger.attach("another", never));
  await rejects("failed", () => stranger.finish(true));
  assertEquals(await stranger.abort(cancelled("not mine")), []);
  assertEquals(written.at(-1)?.state, "loaded");
  assertEquals(await two.finish(true), { status: "running" });
  await Promise.all([one.close(100), two.close(), stranger.close()]);
  await end();
});

Deno.test("a session that attaches while QEMU starts the guest gets the answer of the same cont", async () => {
  const destination = await loaded({ commands: { "cont": () => undefined } });
  const { one, qemu, end } = destination;
  one.finish(true).catch(() => {});
  await until("QEMU has cont", () => qemu.count("cont") === 1);
  const two = await destination.source();
  assertEquals((await two.attach("one", never)).state, "starting");
  const finishing = two.finish(true);
  qemu.status = "running";
  await qemu.fake.answer("cont", { return: {} });
  assertEquals(await finishing, { status: "running" });
  assertEquals(qemu.count("cont"), 1);
  await Promise.all([one.close(100), two.close()]);
  await end();
});

Deno.test("a source that goes while QEMU starts the guest does not keep it from running", async () => {
  const { one, qemu, written, migration, end } = await loaded({
    commands: { "cont": () => undefined },
  });
  one.finish(true).catch(() => {});
  await until("QEMU has cont", () => qemu.count("cont") === 1);
  await one.close(100);
  qemu.status = "running";
  await qemu.fake.answer("cont", { return: {} });
  await migration.outcome();
  assertEquals([written.at(-1)?.state, qemu.count("quit")], ["finished", 0]);
  await end();
});

Deno.test("a source that goes before finish: the loaded guest is ended, and the source can ask for that", async () => {
  const destination = await loaded();
  const { one, qemu, written, migration, end } = destination;
  let told = false;
  migration.told.then(() => told = true);
  await one.close(100);
  const error = await assertRejects(() => migration.outcome(), MigrationError);
  assertEquals([error.kind, error.code], ["failed", "ended-by-peer"]);
  assertEquals([qemu.count("cont"), qemu.count("quit"), written.at(-1)?.state], [0, 1, "failed"]);
  await turns();
  // It may have asked for the guest to run, in vain: it has to hear that this one never will.
  assertEquals(told, false);
  const again = await destination.source();
  assertEquals((await again.status("one")).state, "failed");
  await again.close();
  await turns();
  assertEquals(told, true);
  await end();
});

Deno.test("a cancel before the journal says starting wins: QEMU gets no cont", async () => {
  const journal = slowJournal("starting");
  const { one, qemu, written, migration, end } = await loaded(journal);
  const finishing = rejects("failed", () => one.finish(true));
  await until("the journal is written", journal.isReached);
  const cancelling = migration.cancel(CANCELLED);
  journal.release();
  assertEquals((await finishing).message, "Cancelled here");
  await cancelling;
  await assertRejects(() => migration.outcome(), MigrationError, "Cancelled here");
  assertEquals([qemu.count("cont"), qemu.count("quit"), written.at(-1)?.state], [0, 1, "failed"]);
  await one.close(100);
  await end();
});

Deno.test("a cancel after the journal says starting changes nothing: the guest runs here", async () => {
  const { one, qemu, written, migration, end } = await loaded({
    commands: { "cont": () => undefined },
  });
  const finishing = one.finish(true);
  await until("QEMU has cont", () => qemu.count("cont") === 1);
  await migration.cancel(CANCELLED);
  assertEquals(written.at(-1)?.state, "starting");
  qemu.status = "running";
  await qemu.fake.answer("cont", { return: {} });
  assertEquals(await finishing, { status: "running" });
  await migration.outcome();
  assertEquals(qemu.count("quit"), 0);
  await one.close();
  await end();
});

Deno.test("the journal says failed before any source hears of it and before anything is undone", async () => {
  const journal = slowJournal("failed");
  const destination = await loaded(journal);
  const { one, qemu, migration, end } = destination;
  const cancelling = migration.cancel(CANCELLED);
  await until("the journal is written", journal.isReached);
  const given = qemu.fake.received.length;
  const two = await destination.source();
  let heard: string | undefined;
  const asking = two.status("one").then(({ state }) => heard = state);
  await turns();
  assertEquals(heard, undefined);
  const since = qemu.fake.received.slice(given).map(({ command }) => command);
  assertEquals(since, ["query-status"]);
  journal.release();
  await asking;
  assertEquals(heard, "failed");
  await cancelling;
  assertEquals(qemu.count("quit"), 1);
  await Promise.all([one.close(100), two.close()]);
  await end();
});

Deno.test("a RESUME event counts as running, even if the guest is paused again before it is asked", async () => {
  const destination = await loaded({
    commands: {
      "cont": () => {
        say(destination.qemu, "RESUME");
        destination.qemu.status = "paused";
        return { return: {} };
      },
    },
  });
  assertEquals(await destination.one.finish(true), { status: "paused" });
  assertEquals(destination.qemu.count("cont"), 1);
  await destination.one.close();
  await destination.end();
});
