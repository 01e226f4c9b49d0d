import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { recover, recoverVerdict } from "../../../src/migrate/handover/recover.ts";
import type { Verdict } from "../../../src/migrate/handover/verdict.ts";
import {
  firstRecord,
  firstSourceRecord,
  type JournalRecord,
} from "../../../src/migrate/journal.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { ALONE } from "../../support/fake_destination.ts";
import { type Commands, FakeQemu } from "../../support/fake_qemu.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

const SOURCE = {
  ...firstSourceRecord({ qmp: "/q", destination: "tcp://h:1" }),
  settings: { capabilities: [{ capability: "events", state: false }], parameters: {} },
};
const DESTINATION = {
  ...firstRecord({ migration: "m", qmp: "/q", listen: "tcp://h:1" }),
  exports: [{ disk: "vd0", exportName: "e", id: "e-id" }],
};

/** Carries a verdict out on a QEMU whose run state is `status`. */
async function recovered(record: JournalRecord, verdict: Verdict, options: {
  readonly status?: string;
  readonly migration?: string;
  readonly commands?: Commands;
} = {}) {
  let { status = "postmigrate", migration = "completed" } = options;
  const exports = new Set(["e-id"]);
  const order: string[] = [];
  const ok = { return: {} };
  const [ours, theirs] = memoryPipe();
  const did = (what: string, does: () => void) => () => {
    order.push(what);
    does();
    return ok;
  };
  const qemu = new FakeQemu(theirs, {
    "query-jobs": () => ({ return: [] }),
    "query-block-jobs": () => ({ return: [] }),
    "query-named-block-nodes": () => ({ return: [] }),
    "query-block-exports": () => ({ return: [...exports].map((id) => ({ id })) }),
    "query-status": () => ({ return: { status, running: status === "running" } }),
    "query-migrate": () => ({ return: { status: migration } }),
    "query-migrate-capabilities": () => ({ return: [{ capability: "events", state: true }] }),
    "query-migrate-parameters": () => ({ return: {} }),
    "migrate-set-capabilities": did("settings", () => {}),
    "migrate_cancel": did("migrate_cancel", () => {
      migration = "cancelled";
      status = "paused";
    }),
    "block-export-del": did("export", () => exports.clear()),
    "nbd-server-stop": did("nbd-server", () => {}),
    "cont": did("cont", () => status = "running"),
    "quit": did("quit", () => {}),
    ...options.commands,
  });
  const clock = new ManualClock();
  const qmp = await QmpClient.open(ours);
  const facts = { status, migration, ours: 0 };
  const work = {
    ...{ qmp, record, facts, destination: undefined, force: false, clock, log: silentLogger },
    path: (name: string) => `/run/${name}`,
    listen: () => Promise.reject(new Error("Nothing is to be served")),
    processes: ALONE,
    removeFile: (path: string) => Promise.resolve(void order.push(`removes ${path}`)),
    forget: () => Promise.resolve(void order.push("forget")),
  };
  let left: string[] | undefined;
  const recovering = recover(work, verdict).then((result) => left = result);
  recovering.catch(() => {});
  for (let i = 0; i < 200 && left === undefined; i++) {
    await clock.advance(1000);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await recovering;
  qemu.close();
  return { order, left, proposed: recoverVerdict(work) };
}

/** The order without what is removed and set back on the way. */
const guestOf = (order: readonly string[]) =>
  order.filter((what) => ["migrate_cancel", "cont", "quit", "forget"].includes(what));

Deno.test("a source resumes its guest after everything is undone, and forgets the record last", async () => {
  const { order, left, proposed } = await recovered({ ...SOURCE, state: "switchover" }, "run-here");
  assertEquals([proposed, left], ["run-here", []]);
  assertEquals(order.slice(-2), ["cont", "forget"]);
  assertEquals(order.includes("settings") && order.includes("removes /run/ram.sock"), true);
});

Deno.test("a source ends the migration in QEMU before it resumes the guest", async () => {
  const record = { ...SOURCE, state: "ram" as const };
  const { order } = await recovered(record, "run-here", {
    status: "finish-migrate",
    migration: "active",
  });
  assertEquals(guestOf(order), ["migrate_cancel", "cont", "forget"]);
});

Deno.test("a source whose guest has moved never resumes it", async () => {
  const { order, proposed } = await recovered({ ...SOURCE, state: "done" }, "leave");
  assertEquals([proposed, guestOf(order)], ["leave", ["forget"]]);
});

Deno.test("a source's guest that its owner paused stays paused", async () => {
  const paused = { ...SOURCE, state: "ram" as const, wasRunning: false };
  const { order } = await recovered(paused, "run-here", { status: "paused", migration: "none" });
  assertEquals(guestOf(order), ["forget"]);
});

Deno.test("what could not be undone keeps the record", async () => {
  const { order, left } = await recovered({ ...SOURCE, state: "switchover" }, "run-here", {
    commands: {
      "migrate-set-capabilities": () => ({ error: { class: "GenericError", desc: "not now" } }),
    },
  });
  assertEquals([left?.length, order.includes("forget"), order.includes("cont")], [1, false, true]);
});

Deno.test("a destination removes its exports before it ends QEMU, and forgets the record last", async () => {
  const { order, proposed } = await recovered({ ...DESTINATION, state: "loaded" }, "discard");
  assertEquals(proposed, "discard");
  assertEquals(order.filter((what) => !what.startsWith("removes")), [
    ...["export", "nbd-server", "quit", "forget"],
  ]);
});

Deno.test("a QEMU that does not end keeps the record of its guest", async () => {
  const { order, left } = await recovered({ ...DESTINATION, state: "loaded" }, "discard", {
    commands: { quit: () => ({ error: { class: "GenericError", desc: "busy" } }) },
  });
  assertEquals([left, order.includes("forget")], [["busy"], false]);
});

for (const [run, expected] of [[true, ["cont", "forget"]], [false, ["forget"]]] as const) {
  Deno.test(`by the user's word a guest that ${run ? "ran runs" : "was paused stays paused"} at the destination`, async () => {
    const record = { ...DESTINATION, state: "starting" as const, run };
    const { order } = await recovered(record, "run-here", { status: "inmigrate" });
    assertEquals(guestOf(order), [...expected]);
  });
}

Deno.test("nothing is done where the user has to be asked", async () => {
  await assertRejects(
    () => recovered({ ...SOURCE, state: "handover" }, "ask"),
    Error,
    "user's word",
  );
});
