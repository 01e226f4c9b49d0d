import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { CONNECT_MS } from "../../../src/migrate/disks/mirror_retry.ts";
import { startMirror } from "../../../src/migrate/disks/mirror_target.ts";
import { MirrorSet } from "../../../src/migrate/disks/mirror_set.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

const MIRROR = {
  ...{ name: "vd0", device: "d", sizeBytes: 1024, exportName: "e" },
  ...{ jobId: "job", targetNode: "job-target", noHoles: null, topOnly: null, delta: null },
};
const READY = {
  ...{ id: "job", type: "mirror", status: "ready" },
  ...{ "current-progress": 1024, "total-progress": 1024 },
};

/** A ready mirror whose target has as many connections as `connections` says. */
async function allStillReady(connections: { lost: number; open: number; away: boolean }) {
  const [ours, theirs] = memoryPipe();
  const touched: unknown[] = [];
  const qemu = new FakeQemu(theirs, {
    "query-jobs": () => ({ return: [READY] }),
    "query-block-jobs": () => ({ return: [] }),
    "query-named-block-nodes": () => ({ return: [{ "node-name": "job-target" }] }),
    "human-monitor-command": (args) => {
      touched.push(args["command-line"]);
      return { return: "" };
    },
  });
  const qmp = await QmpClient.open(ours);
  const clock = new ManualClock();
  const mirrors = new MirrorSet({
    ...{ qmp, clock, log: silentLogger, mirrors: [MIRROR], socketPath: "/s", mayWait: true },
    connections: () => connections,
    onFault: () => {},
  });
  await mirrors.adopt();
  await mirrors.start(new AbortController().signal);
  const stop = new AbortController();
  const waiting = mirrors.allStillReady(stop.signal);
  return { waiting, touched, clock, stop, end: () => qemu.close() };
}

Deno.test("ready mirrors whose targets are connected need no read of the targets", async () => {
  const { waiting, touched, end } = await allStillReady({ lost: 0, open: 1, away: false });
  await waiting;
  assertEquals(touched, []);
  end();
});

Deno.test("a target that lost its connection unnoticed is read from until QEMU reconnects it", async () => {
  const connections = { lost: 1, open: 0, away: false };
  const { waiting, touched, clock, end } = await allStillReady(connections);
  let over = false;
  waiting.then(() => over = true);
  for (let i = 0; i < 3; i++) {
    await settle();
    await clock.advance(1000);
  }
  assertEquals([over, touched[0]], [false, 'qemu-io job-target "read 0 512"']);
  connections.open = 1;
  await clock.advance(1000);
  await waiting;
  end();
});

Deno.test("a target that QEMU does not reconnect fails, but not while the destination is away", async () => {
  const connections = { lost: 1, open: 0, away: true };
  const { waiting, clock, end } = await allStillReady(connections);
  const failing = assertRejects(() => waiting, MigrationError, "did not connect");
  const pass = async (ms: number) => {
    for (let at = 0; at < ms; at += 1000) {
      await settle();
      await clock.advance(1000);
    }
  };
  await pass(2 * CONNECT_MS);
  connections.away = false;
  await pass(CONNECT_MS + 3000);
  await failing;
  end();
});

Deno.test("the end of the migration ends the wait for targets", async () => {
  const { waiting, stop, end } = await allStillReady({ lost: 1, open: 0, away: true });
  await settle();
  stop.abort(new Error("cancelled"));
  await assertRejects(() => waiting, Error, "cancelled");
  end();
});

Deno.test("a job of an earlier process is dismissed only once it has concluded", async () => {
  const [ours, theirs] = memoryPipe();
  let status = "running";
  const dismissed: string[] = [];
  const qemu = new FakeQemu(theirs, {
    "query-jobs": () => ({ return: [{ ...READY, status }] }),
    "query-block-jobs": () => ({ return: [] }),
    "query-named-block-nodes": () => ({ return: [{ "node-name": "job-target" }] }),
    "block-job-cancel": () => {
      status = "aborting";
      return { return: {} };
    },
    "job-dismiss": () => {
      dismissed.push(status);
      return { return: {} };
    },
    "blockdev-del": () => ({ return: {} }),
  });
  const clock = new ManualClock();
  const mirrors = new MirrorSet({
    ...{ qmp: await QmpClient.open(ours), clock, log: silentLogger, mirrors: [MIRROR] },
    ...{ socketPath: "/s", mayWait: false, onFault: () => {} },
    connections: () => ({ lost: 0, open: 0, away: false }),
  });
  await mirrors.adopt();
  const undoing = mirrors.undo();
  await clock.advance(2000);
  assertEquals(dismissed, []);
  status = "concluded";
  await clock.advance(1000);
  await undoing;
  assertEquals(dismissed, ["concluded"]);
  qemu.close();
});

Deno.test("a mirror's buffer size is given to QEMU only where it is set", async () => {
  for (const bufferBytes of [undefined, 64 << 20]) {
    const [ours, theirs] = memoryPipe();
    const qemu = new FakeQemu(theirs, {
      "query-jobs": () => ({ return: [READY] }),
      "blockdev-add": () => ({ return: {} }),
      "blockdev-mirror": () => ({ return: {} }),
    });
    const mirrors = new MirrorSet({
      ...{ qmp: await QmpClient.open(ours), clock: new ManualClock(), log: silentLogger },
      ...{ mirrors: [MIRROR], socketPath: "/s", mayWait: true, bufferBytes, onFault: () => {} },
      connections: () => ({ lost: 0, open: 1, away: false }),
    });
    await mirrors.start(new AbortController().signal);
    const { args } = qemu.received.find(({ command }) => command === "blockdev-mirror")!;
    assertEquals(args["buf-size"], bufferBytes);
    qemu.close();
  }
});

/** A ready mirror about to be ended: QEMU then sends the events `said`, and the job looks like `job`. */
async function toBeEnded(said: readonly { event: string; data: unknown }[], job: object) {
  const [ours, theirs] = memoryPipe();
  let ended = false;
  const qemu: FakeQemu = new FakeQemu(theirs, {
    "query-jobs": () => ({ return: [ended ? { ...READY, ...job } : READY] }),
    "query-block-jobs": () => ({ return: [] }),
    "query-named-block-nodes": () => ({ return: [{ "node-name": "job-target" }] }),
    "block-job-cancel": () => {
      ended = true;
      (async () => {
        await qemu.answer("block-job-cancel", { return: {} });
        for (const event of said) await qemu.say(event);
      })();
      return undefined;
    },
  });
  const qmp = await QmpClient.open(ours);
  const clock = new ManualClock();
  const mirrors = new MirrorSet({
    ...{ qmp, clock, log: silentLogger, mirrors: [MIRROR], socketPath: "/s", mayWait: true },
    connections: () => ({ lost: 0, open: 1, away: false }),
    onFault: () => {},
  });
  await mirrors.adopt();
  const stop = new AbortController();
  await mirrors.start(stop.signal);
  await mirrors.allReady(stop.signal);
  await settle();
  const before = qemu.received.length;
  const asked = () => qemu.received.slice(before).map(({ command }) => command);
  return { mirrors, qemu, clock, stop, asked };
}

const changed = (status: string) => ({ event: "JOB_STATUS_CHANGE", data: { id: "job", status } });

Deno.test("the end of a mirror is taken from QEMU's events, without a query while the guest is paused", async () => {
  const completed = { event: "BLOCK_JOB_COMPLETED", data: { device: "job", type: "mirror" } };
  const said = [changed("waiting"), changed("pending"), completed, changed("concluded")];
  const { mirrors, stop, asked, qemu } = await toBeEnded(said, { status: "concluded" });
  await mirrors.finish(stop.signal);
  assertEquals(asked(), ["block-job-cancel"]);
  qemu.close();
});

Deno.test("a mirror that ends with an error fails the migration, whatever the last event says", async () => {
  const failed = [
    { event: "BLOCK_JOB_CANCELLED", data: { device: "job", type: "mirror" } },
    { event: "BLOCK_JOB_COMPLETED", data: { device: "job", error: "Input/output error" } },
  ];
  for (const event of failed) {
    const job = { status: "concluded", error: "Operation canceled" };
    const { mirrors, stop, qemu } = await toBeEnded([event, changed("concluded")], job);
    await assertRejects(() => mirrors.finish(stop.signal), MigrationError, "Operation canceled");
    qemu.close();
  }
});

Deno.test("a job is queried only if it is still paused after QEMU has drained its disks", async () => {
  const { qemu, clock, asked } = await toBeEnded([], {});
  await qemu.say(changed("standby"));
  await qemu.say(changed("ready"));
  await settle();
  assertEquals(asked(), []);
  await clock.advance(100);
  assertEquals(asked(), ["query-jobs"]);
  qemu.close();
});

Deno.test('a mirror that a full target paused fails with disk-full, not with QEMU\'s "currently paused"', async () => {
  for (const [status, reason] of [["nospace", "No space left"], ["ok", "paused"]] as const) {
    const [ours, theirs] = memoryPipe();
    const qemu = new FakeQemu(theirs, {
      "query-jobs": () => ({ return: [READY] }),
      "query-block-jobs": () => ({ return: [{ device: "job", "io-status": status }] }),
      "query-named-block-nodes": () => ({ return: [{ "node-name": "job-target" }] }),
      "block-job-cancel": () => ({
        error: { class: "GenericError", desc: "The block job 'job' is currently paused" },
      }),
    });
    const mirrors = new MirrorSet({
      ...{ qmp: await QmpClient.open(ours), clock: new ManualClock(), log: silentLogger },
      ...{ mirrors: [MIRROR], socketPath: "/s", mayWait: true, onFault: () => {} },
      connections: () => ({ lost: 0, open: 1, away: false }),
    });
    await mirrors.adopt();
    const error = await assertRejects(
      () => mirrors.finish(new AbortController().signal),
      MigrationError,
      reason,
    );
    assertEquals(error.code, status === "ok" ? "disk-write-failed" : "disk-full");
    qemu.close();
  }
});

Deno.test("only a mirror of the uppermost image leaves out what lies below", async () => {
  for (const [topOnly, sync] of [[true, "top"], [null, "full"]] as const) {
    const [ours, theirs] = memoryPipe();
    const qemu = new FakeQemu(theirs, { "blockdev-mirror": () => ({ return: {} }) });
    const qmp = await QmpClient.open(ours);
    await startMirror(qmp, { ...MIRROR, topOnly }, {
      ...{ mayWait: true, bufferBytes: undefined },
      signal: new AbortController().signal,
    });
    const { args } = qemu.received.find(({ command }) => command === "blockdev-mirror")!;
    assertEquals(args["sync"], sync);
    qemu.close();
  }
});
