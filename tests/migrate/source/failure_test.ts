import { assertEquals, assertMatch } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { Failure } from "../../../src/migrate/source/failure.ts";
import { switchOver } from "../../../src/migrate/source/switchover.ts";
import type { Handlers } from "../../../src/rpc/mod.ts";
import { type FakeSource, fakeSource } from "../../support/fake_source.ts";
import { copied, handedOver, inTime, paused, prepared, until } from "./phases.ts";

const CANCELLED = new MigrationError("cancelled", "cancelled", "source", "Cancelled by SIGTERM");

/** Fails a source with `cause`; what happened from then on is in the end of `order`. */
async function failed(source: FakeSource, cause: unknown): Promise<[MigrationError, string[]]> {
  const failure = new Failure(source.context);
  const from = source.order.length;
  source.context.fault(cause);
  const error = await inTime(source, failure.undo(cause));
  return [error, source.order.slice(from).filter((e) => !/openTunnel/.test(e))];
}

Deno.test("a migration that fails before it is connected changes nothing", async () => {
  const source = await fakeSource();
  const [error, order] = await failed(source, CANCELLED);
  assertEquals([error.kind, error.message, order], ["cancelled", CANCELLED.message, []]);
  await source.end();
});

Deno.test("the destination undoes before the source's mirrors end", async () => {
  const { source } = await copied();
  const [error, order] = await failed(source, CANCELLED);
  assertEquals([error.kind, error.code], ["cancelled", "cancelled"]);
  assertEquals(source.tool.aborted, {
    ...{ reason: "Cancelled by SIGTERM", cancelled: true, code: "cancelled", side: "source" },
  });
  // The abort of the first cause, then the undo step's.
  assertEquals(order, [
    "rpc:abort",
    "qmp:block-job-cancel",
    "qmp:job-dismiss",
    "qmp:blockdev-del",
    "rpc:abort",
  ]);
  assertEquals([source.qemu.jobs.size, source.qemu.nodes.size], [0, 0]);
  await source.end();
});

Deno.test("QEMU's mirrors wait for the destination's undo, for two seconds at most", async () => {
  const answer = Promise.withResolvers<{ left: null }>();
  const { source } = await copied({ handlers: { abort: () => answer.promise } });
  const { context, clock, qemu } = source;
  const failure = new Failure(context);
  context.fault(CANCELLED);
  const undoing = failure.undo(CANCELLED);
  await until("the destination is asked", () => source.order.includes("rpc:abort"));
  await clock.advance(1900);
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(qemu.count("block-job-cancel"), 0);
  await clock.advance(200);
  await until("the mirrors end", () => qemu.count("block-job-cancel") === 1);
  answer.resolve({ left: null });
  await inTime(source, undoing);
  await source.end();
});

Deno.test("a destination that does not answer the abort does not keep the mirrors", async () => {
  const { source } = await copied({ handlers: { abort: () => new Promise(() => {}) } });
  const [error, order] = await failed(source, CANCELLED);
  assertEquals(order.includes("qmp:blockdev-del"), true);
  assertMatch(error.message, /Not undone at the destination: not done in time/);
  assertEquals([error.kind, source.context.leftBehind], ["cancelled", false]);
  await source.end();
});

Deno.test("a migration that fails once RAM crosses gets QEMU's cancel and its settings back", async () => {
  const { source } = await paused();
  const [error, order] = await failed(source, CANCELLED);
  assertEquals(error.kind, "cancelled");
  const settings = ["qmp:migrate-set-parameters", "qmp:migrate-set-capabilities"];
  const effects = order.filter((entry) => entry.startsWith("qmp:"));
  assertEquals(effects[0], "qmp:migrate_cancel");
  assertEquals(effects.slice(1, 3), settings);
  assertEquals(source.qemu.status, "running");
  await source.end();
});

/** A source whose QEMU has failed in the switchover and has left the guest like this. */
async function failedSwitchover(left: string, handlers: Handlers = {}) {
  const { source, result } = await paused({
    handlers: { load: () => new Promise(() => {}), ...handlers },
    commands: { "migrate-continue": () => ({ return: {} }) },
  });
  const { context, qemu } = source;
  const switching = switchOver(context, result);
  switching.catch(() => {});
  await until("QEMU continues", () => qemu.count("migrate-continue") === 1);
  qemu.status = left;
  await qemu.migrate("failed");
  return source;
}

for (const left of ["postmigrate", "paused"]) {
  Deno.test(`a guest that the switchover left ${left} runs again, after everything in QEMU is undone`, async () => {
    const source = await failedSwitchover(left);
    const { qemu } = source;
    const [error, order] = await failed(source, CANCELLED);
    assertEquals([error.kind, error.message], ["cancelled", CANCELLED.message]);
    assertEquals(order.findLast((entry) => entry.startsWith("qmp:")), "qmp:cont");
    assertEquals(qemu.status, "running");
    await source.end();
  });
}

for (const waits of ["abort", "close"] as const) {
  Deno.test(`a paused guest runs again before the source waits for the session's ${waits}`, async () => {
    const never = () => new Promise<never>(() => {});
    const source = await failedSwitchover("paused", waits === "abort" ? { abort: never } : {});
    const { context, clock, qemu } = source;
    if (waits === "close") context.destination!.peer!.close = never;
    const failure = new Failure(context);
    context.fault(CANCELLED);
    const undoing = failure.undo(CANCELLED);
    await until("the destination is asked", () => source.order.includes("rpc:abort"));
    // The mirrors wait for the destination's undo, no more.
    await clock.advance(2000);
    await until("the guest runs again", () => qemu.status === "running");
    await inTime(source, undoing);
    await source.end();
  });
}

Deno.test("a guest that somebody else paused stays paused", async () => {
  const { source } = await copied();
  source.qemu.status = "paused";
  await source.qemu.say("STOP");
  await until("the pause was noticed", () => source.warnings.includes("guest-paused"));
  const [error] = await failed(source, CANCELLED);
  assertEquals([error.kind, source.qemu.status, source.qemu.count("cont")], [
    "cancelled",
    "paused",
    0,
  ]);
  await source.end();
});

Deno.test("a guest that sleeps after RAM has crossed is reported, and QEMU not continued", async () => {
  const { source } = await handedOver();
  const { context, qemu } = source;
  context.asleepCanGo = true;
  await qemu.say("SUSPEND");
  await until("the guest sleeps", () => context.guest!.asleep);
  const denied = new MigrationError("failed", "not-started", "destination", "It gave up");
  const [error] = await failed(source, denied);
  assertEquals([error.kind, error.code], ["unknown", "guest-asleep-stuck"]);
  assertEquals(qemu.count("cont"), 0);
  await source.end();
});

Deno.test("a destination that denies the guest brings it back, once that is in the journal", async () => {
  const { source } = await handedOver();
  const denied = new MigrationError("failed", "not-started", "destination", "It gave up");
  const [error, order] = await failed(source, denied);
  assertEquals([error.kind, error.code], ["failed", "not-started"]);
  assertEquals(order[0], "journal:undone");
  assertEquals(order.findLast((entry) => entry.startsWith("qmp:")), "qmp:cont");
  assertEquals(source.qemu.status, "running");
  await source.end();
});

Deno.test("without the destination's answer the guest does not run here, and nothing is aborted", async () => {
  const { source } = await handedOver();
  const silence = new MigrationError("unknown", "handover-unanswered", "destination", "Silence");
  const [error, order] = await failed(source, silence);
  assertEquals([error.kind, error.code], ["unknown", "handover-unanswered"]);
  assertEquals(source.written.at(-1)?.state, "unknown");
  assertEquals(order.filter((entry) => /abort|cont$/.test(entry)), []);
  assertEquals(source.qemu.status, "postmigrate");
  await source.end();
});

Deno.test("a cancel during the handover is no reason to run the guest here", async () => {
  const { source } = await handedOver();
  const { context } = source;
  const failure = new Failure(context);
  context.fault(CANCELLED);
  const silence = new MigrationError("unknown", "handover-unanswered", "destination", "Silence");
  const error = await failure.undo(silence);
  assertEquals([error.kind, error.message, context.state.current], [
    "unknown",
    "Silence",
    "unknown",
  ]);
  assertEquals(source.qemu.count("cont"), 0);
  await source.end();
});

Deno.test("what cannot be undone is in the journal, for the next migration of this QEMU", async () => {
  const refuse = { error: { class: "GenericError", desc: "Not now" } };
  let refusing = false;
  const { source } = await paused({
    commands: {
      "migrate-set-parameters": () => refusing ? refuse : { return: {} },
    },
  });
  refusing = true;
  const [error] = await failed(source, CANCELLED);
  assertMatch(error.message, /Not undone at the source: QEMU's migration settings \(Not now\)/);
  assertEquals(source.context.leftBehind, true);
  const { state, left } = source.written.at(-1)!;
  assertEquals([state, left], ["undone", ["QEMU's migration settings (Not now)"]]);
  await source.end();
});

Deno.test("a QEMU that has ended is reported as that, whatever was noticed first", async () => {
  const { source } = await copied({
    options: { lastWords: () => Promise.resolve("qemu: out of memory") },
  });
  source.qemu.qemu.fake.close();
  await until("the end was noticed", () => source.context.qemuGone !== undefined);
  const [error] = await failed(source, new Error("a mirror failed"));
  assertEquals([error.code, error.side], ["source-qemu-gone", "source"]);
  assertMatch(error.message, /out of memory/);
  assertEquals(source.context.leftBehind, false);
  await source.end();
});

Deno.test("a wait that got stuck while the connection was down is the connection's fault", async () => {
  const { source } = await prepared();
  const { session } = source.context.destination!.peer!;
  Object.defineProperty(session, "state", { get: () => "down" });
  const stuck = new MigrationError("failed", "mirror-stuck", "source", "No progress");
  const [error] = await failed(source, stuck);
  assertEquals([error.code, error.message], [
    "connection-lost",
    "The connection to the destination is lost: No progress",
  ]);
  await source.end();
});

Deno.test("a guest that did not load because the source kept its disks is the source's failure", async () => {
  const reasons = [
    ["Block inactivate failed during switchover", "disk-not-inactivated", "source"],
    ["Unable to write to socket: Broken pipe", "not-loaded", "destination"],
  ];
  for (const [reason, ...expected] of reasons) {
    const { source } = await paused();
    source.qemu.migration = "failed";
    source.qemu.migrationError = reason;
    const broken = new MigrationError(
      "failed",
      "not-loaded",
      "destination",
      "The stream has ended",
    );
    const [error] = await failed(source, broken);
    assertEquals<unknown[]>([error.code, error.side], expected);
    await source.end();
  }
});
