import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { firstSourceRecord, type SourceRecord } from "../../../src/migrate/journal.ts";
import { Failure } from "../../../src/migrate/source/failure.ts";
import { finish } from "../../../src/migrate/source/hand_over.ts";
import { resume } from "../../../src/migrate/source/resume.ts";
import { fakeSource } from "../../support/fake_source.ts";
import { inTime, until } from "./phases.ts";

const MIRROR = {
  ...{ name: "vd0", device: "d0", sizeBytes: 1024 * 1024, exportName: "vd0" },
  ...{
    jobId: "vmferry-1",
    targetNode: "vmferry-1-target",
    noHoles: null,
    topOnly: null,
    delta: null,
  },
};

/** What a killed process has written in this state. */
function record(state: SourceRecord["state"], more: Partial<SourceRecord> = {}): SourceRecord {
  const first = firstSourceRecord({ qmp: "/qmp", destination: "tcp://x:1" });
  return { ...first, state, guest: "vm", mirrors: [MIRROR], ...more };
}

/** A source whose killed process has begun a mirror, and how it goes on. */
async function resumed(written: SourceRecord, status = "running") {
  const source = await fakeSource({ resume: written });
  source.qemu.status = status;
  source.qemu.jobs.set(MIRROR.jobId, "ready");
  source.qemu.nodes.add(MIRROR.targetNode);
  return source;
}

Deno.test("a killed prepare begins again", async () => {
  const source = await fakeSource({
    resume: record("prepare", { mirrors: [] }),
    handlers: { status: () => Promise.resolve({ state: "prepared", guest: null }) },
  });
  const begun = await resume(source.context, source.options.resume!);
  assertEquals([begun.is, source.context.state.current], ["prepared", "mirror"]);
  await source.end();
});

Deno.test("killed mirrors go on in a new session, and none is started again", async () => {
  const source = await resumed(record("mirror"));
  const begun = await resume(source.context, source.options.resume!);
  if (begun.is !== "prepared") throw new Error(begun.is);
  assertEquals(source.order, ["connect", "rpc:attach"]);
  await begun.mirrors.start(source.context.signal);
  await begun.mirrors.allReady(source.context.signal);
  assertEquals(source.qemu.count("blockdev-mirror"), 0);
  await source.end();
});

Deno.test("a guest that a killed process held resumes before the destination is waited for", async () => {
  const source = await resumed(record("mirror", { stopped: "held" }), "paused");
  source.tool.unreachable = 1e9;
  const resuming = resume(source.context, source.options.resume!);
  resuming.catch(() => {});
  await source.clock.advance(0);
  await until("QEMU resumes the guest", () => source.qemu.count("cont") === 1);
  await source.clock.advance(100);
  await until("the guest runs", () => source.written.at(-1)?.stopped === "no");
  assertEquals([source.qemu.status, source.context.destination?.waiting], ["running", true]);
  source.context.fault(new Error("over"));
  await assertRejects(() => resuming, Error, "over");
  await source.end();
});

Deno.test("a guest that was paused so that the rest can catch up stays paused", async () => {
  const source = await resumed(record("mirror", { stopped: "suspended" }), "paused");
  await resume(source.context, source.options.resume!);
  assertEquals([source.qemu.status, source.context.guest?.shouldRun], ["paused", true]);
  await source.end();
});

Deno.test("a guest that somebody paused while no process ran is to stay paused", async () => {
  const source = await resumed(record("mirror"), "paused");
  await resume(source.context, source.options.resume!);
  assertEquals([source.qemu.status, source.context.guest?.shouldRun], ["paused", false]);
  await source.end();
});

for (const state of ["ram", "switchover", "undone"] as const) {
  Deno.test(`killed in ${state}: everything is undone and the guest runs again`, async () => {
    const settings = {
      capabilities: [{ capability: "events", state: false }],
      parameters: { "max-bandwidth": 1 },
    };
    const source = await resumed(record(state, { settings }), "postmigrate");
    const failure = new Failure(source.context);
    const error = await assertRejects(
      () => resume(source.context, source.options.resume!),
      MigrationError,
    );
    assertEquals(error.code, "cut-off");
    const undone = await inTime(source, failure.undo(error));
    assertEquals([undone.kind, undone.code], ["failed", "cut-off"]);
    assertEquals(source.order.filter((e) => e.startsWith("qmp:")), [
      "qmp:migrate-set-parameters",
      "qmp:migrate-set-capabilities",
      "qmp:block-job-cancel",
      "qmp:job-dismiss",
      "qmp:blockdev-del",
      "qmp:cont",
    ]);
    assertEquals(source.qemu.status, "running");
    await source.end();
  });
}

for (const state of ["handover", "unknown"] as const) {
  Deno.test(`killed in ${state}: only the destination's answer counts, and nothing is undone`, async () => {
    const source = await resumed(record(state), "postmigrate");
    const begun = await resume(source.context, source.options.resume!);
    assertEquals([begun.is, source.context.state.current], ["crossed", "handover"]);
    assertEquals(source.order, []);
    await source.end();
  });
}

Deno.test("killed in done: the destination hears that the source knows, and nothing runs here", async () => {
  for (const [wasRunning, guest] of [[true, null], [false, "paused"]] as const) {
    const source = await resumed(record("done", { wasRunning }), "postmigrate");
    const begun = await resume(source.context, source.options.resume!);
    if (begun.is !== "arrived") throw new Error(begun.is);
    assertEquals([begun.guest, source.order], [guest, []]);
    await inTime(source, finish(source.context, begun));
    assertEquals(source.without(/^journal|block|job/), ["connect", "rpc:status"]);
    await source.end();
  }
});

Deno.test("killed in done: a destination that cannot be reached changes nothing", async () => {
  const source = await resumed(record("done"), "postmigrate");
  source.tool.unreachable = 1;
  const begun = await resume(source.context, source.options.resume!);
  if (begun.is !== "arrived") throw new Error(begun.is);
  const { guest } = await inTime(source, finish(source.context, begun));
  assertEquals([guest, source.context.leftBehind, source.qemu.status], [
    null,
    false,
    "postmigrate",
  ]);
  await source.end();
});
