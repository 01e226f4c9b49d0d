import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { SourceMigration } from "../../../src/migrate/source/migration.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { fakeSource, type FakeSourceOptions } from "../../support/fake_source.ts";
import { inTime, until } from "./phases.ts";

/** A migration of a fake source, which has not begun. */
async function migration(options?: FakeSourceOptions) {
  const source = await fakeSource(options);
  return { source, made: new SourceMigration(source.options) };
}

/** What happened, but for the copy's connections. */
const effects = (order: readonly string[]) => order.filter((e) => !/openTunnel|connect/.test(e));

Deno.test("a migration writes, asks and commands in the order on which safety rests", async () => {
  const { source, made } = await migration();
  const migrated = await inTime(source, made.run());
  assertEquals([migrated.guest, made.leftBehind, made.memoryBegan], ["running", false, true]);
  const order = effects(source.order);
  const before = (first: string, then: string) => {
    const [a, b] = [order.indexOf(first), order.indexOf(then)];
    assertEquals(a >= 0 && a < b, true, `${first} (${a}) before ${then} (${b})`);
  };
  before("journal:prepare", "rpc:prepare");
  before("journal:mirror", "qmp:blockdev-add");
  before("journal:ram", "qmp:migrate-set-capabilities");
  before("journal:ram", "qmp:migrate");
  before("qmp:block-job-cancel", "qmp:migrate-continue");
  before("rpc:load", "journal:handover");
  before("journal:handover", "rpc:finish");
  before("rpc:finish", "journal:done");
  before("journal:done", "qmp:job-dismiss");
  assertEquals(order.filter((e) => /abort|cont$/.test(e)), []);
  assertEquals([source.qemu.jobs.size, source.qemu.nodes.size], [0, 0]);
  await source.end();
});

Deno.test("the phases are reported once each, in order", async () => {
  const { source, made } = await migration();
  await inTime(source, made.run());
  const phases = source.events.flatMap((event) => event.event === "phase" ? [event.phase] : []);
  assertEquals(phases, ["prepare", "mirror", "ram", "switchover", "handover", "done"]);
  await source.end();
});

Deno.test("a destination that asks again for finish runs the guest once the answer is lost", async () => {
  let asked = 0;
  const { source, made } = await migration({
    handlers: {
      finish: () =>
        ++asked === 1
          ? Promise.reject(new RpcError("failed", "not now"))
          : Promise.resolve({ status: "running" }),
    },
  });
  const migrated = await inTime(source, made.run());
  assertEquals([migrated.guest, asked, source.qemu.count("cont")], ["running", 2, 0]);
  await source.end();
});

Deno.test("the source resumes the guest if the destination answers that it never will run it", async () => {
  const { source, made } = await migration({
    handlers: { finish: () => Promise.reject(new RpcError("not-started", "It gave up")) },
  });
  const error = await assertRejects(() => inTime(source, made.run()), MigrationError);
  assertEquals([error.kind, error.code], ["failed", "not-started"]);
  const order = effects(source.order);
  assertEquals(order.indexOf("journal:undone") < order.indexOf("qmp:cont"), true);
  assertEquals([source.qemu.status, made.record.state], ["running", "undone"]);
  await source.end();
});

Deno.test("a cancel before the switchover has the guest run on, and nothing of ours in QEMU", async () => {
  const { source, made } = await migration({ commands: { "migrate": () => ({ return: {} }) } });
  const running = made.run();
  running.catch(() => {});
  await until("RAM crosses", () => source.qemu.count("migrate") === 1);
  source.cancel.abort(new MigrationError("cancelled", "cancelled", "source", "Cancelled"));
  source.qemu.migration = "active";
  const error = await assertRejects(() => inTime(source, running), MigrationError);
  assertEquals([error.kind, source.qemu.status, made.leftBehind], ["cancelled", "running", false]);
  assertEquals([source.qemu.jobs.size, source.qemu.nodes.size], [0, 0]);
  assertEquals(source.tool.aborted !== undefined, true);
  await source.end();
});

Deno.test("a migration that was cancelled before it began does nothing", async () => {
  const { source, made } = await migration();
  source.cancel.abort(new MigrationError("cancelled", "cancelled", "source", "Cancelled"));
  const error = await assertRejects(() => inTime(source, made.run()), MigrationError);
  assertEquals([error.kind, source.order.includes("connect")], ["cancelled", false]);
  await source.end();
});

Deno.test("a cancel after the handover is too late, and changes nothing", async () => {
  const { source, made } = await migration({
    handlers: {
      finish: () => {
        source.cancel.abort(new MigrationError("cancelled", "cancelled", "source", "Cancelled"));
        return Promise.resolve({ status: "running" });
      },
    },
  });
  const migrated = await inTime(source, made.run());
  assertEquals([migrated.guest, source.tool.aborted], ["running", undefined]);
  await source.end();
});

Deno.test("a guest that was paused stays paused at the destination", async () => {
  const runs: boolean[] = [];
  const { source, made } = await migration({
    handlers: {
      finish: ({ run }) => {
        runs.push(run);
        return Promise.resolve({ status: "paused" });
      },
    },
  });
  source.qemu.status = "paused";
  const { guest, pauseMs } = await inTime(source, made.run());
  assertEquals([guest, pauseMs, runs], ["paused", null, [false]]);
  await source.end();
});

Deno.test("what QEMU would not undo after the guest has moved is a warning, not a failure", async () => {
  const refuse = { error: { class: "GenericError", desc: "Not now" } };
  const { source, made } = await migration({
    commands: {
      "migrate-set-capabilities": () =>
        source.qemu.migration === "completed" ? refuse : { return: {} },
    },
  });
  const { guest } = await inTime(source, made.run());
  assertEquals([guest, made.leftBehind, source.warnings.includes("not-undone")], [
    "running",
    true,
    true,
  ]);
  assertEquals([made.record.state, made.record.left?.length], ["done", 1]);
  await source.end();
});

Deno.test("the source's QEMU quits only when the user asks for it", async () => {
  for (const quitSource of [true, false]) {
    const { source, made } = await migration({
      options: { quitSource },
      commands: { "quit": () => ({ return: {} }) },
    });
    await inTime(source, made.run());
    assertEquals(source.qemu.count("quit"), quitSource ? 1 : 0);
    await source.end();
  }
});

Deno.test("the source's QEMU quits only once nothing starts the guest there again", async () => {
  for (const mustStay of [undefined, "vm1.service has Restart=always"]) {
    const quits: number[] = [];
    const { source, made } = await migration({
      options: {
        quitSource: true,
        departed: () => {
          quits.push(source.qemu.count("quit"));
          return Promise.resolve(mustStay);
        },
      },
      commands: { "quit": () => ({ return: {} }) },
    });
    await inTime(source, made.run());
    assertEquals(quits, [0]);
    assertEquals(source.qemu.count("quit"), mustStay === undefined ? 1 : 0);
    assertEquals(source.warnings.includes("quit-failed"), mustStay !== undefined);
    await source.end();
  }
});

Deno.test("a QEMU that ends while the disks are copied fails the migration as that", async () => {
  const { source, made } = await migration({
    commands: { "blockdev-mirror": () => ({ return: {} }) },
  });
  const running = made.run();
  running.catch(() => {});
  await until("the mirror has started", () => source.qemu.count("blockdev-mirror") === 1);
  source.qemu.qemu.fake.close();
  const error = await assertRejects(() => inTime(source, running), MigrationError);
  assertEquals([error.code, made.leftBehind], ["source-qemu-gone", false]);
  await source.end();
});
