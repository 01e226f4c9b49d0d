import { assertEquals } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { GuestWatch } from "../../../src/migrate/guest/watch.ts";
import type { MigrationError, MigrationEvent } from "../../../src/migrate/mod.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { settle } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

async function watched(running = true, asleepCanGo = false) {
  const [ours, theirs] = memoryPipe();
  let status = "running";
  const qemu = new FakeQemu(theirs, {
    "query-status": () => ({ return: { status, running: status === "running" } }),
    "query-block": () => ({
      return: [{
        device: "",
        qdev: "/machine/peripheral/vd1/virtio-backend",
        "io-status": status === "io-error" ? "failed" : "ok",
        inserted: { "node-name": "d1", ro: false, drv: "raw", image: { "virtual-size": 1 } },
      }],
    }),
    "qom-get": () => ({ return: false }),
    "stop": () => ({ return: {} }),
    "cont": () => ({ return: {} }),
  });
  const qmp = await QmpClient.open(ours);
  const faults: MigrationError[] = [];
  const warnings: string[] = [];
  const told: boolean[] = [];
  const source = { isHandedOver: false };
  const guest = new GuestWatch(running, {
    qmp,
    log: silentLogger,
    asleepCanGo,
    get isHandedOver() {
      return source.isHandedOver;
    },
    shouldRunChanged: (shouldRun) => told.push(shouldRun),
    fault: (error) => faults.push(error),
    report: (event: MigrationEvent) => event.event === "warning" && warnings.push(event.message),
  });
  return {
    guest,
    source,
    qemu,
    told,
    said: () => ({ faults: faults.map((f) => `${f.code}: ${f.message}`), warnings }),
    async happens(event: string, data: object = {}, then?: string) {
      if (then !== undefined) status = then;
      await qemu.say({ event, data, timestamp: { seconds: 1, microseconds: 0 } });
      for (let i = 0; i < 20; i++) await settle();
    },
    end: () => qmp[Symbol.asyncDispose](),
  };
}

Deno.test("a disk error that stops the guest is a fault with the disk's name, and the guest stays stopped", async () => {
  const w = await watched();
  const error = { device: "", "node-name": "d1", operation: "write", reason: "EIO" };
  await w.happens("BLOCK_IO_ERROR", { ...error, action: "ignore" });
  await w.happens("BLOCK_IO_ERROR", { ...error, action: "report" });
  await w.happens("BLOCK_IO_ERROR", { ...error, action: "report" });
  assertEquals(w.said(), {
    faults: [],
    warnings: [
      "The guest could not write to disk vd1: EIO; QEMU reported the error to it, and it runs on",
    ],
  });
  // During a mirror the event names a node of QEMU's own.
  const hidden = { ...error, "node-name": "#block7" };
  await w.happens("BLOCK_IO_ERROR", { ...hidden, action: "report" });
  assertEquals(
    w.said().warnings[1]!.slice(0, 46),
    "The guest could not write to one of its disks:",
  );
  await w.happens("BLOCK_IO_ERROR", { ...hidden, action: "stop" }, "io-error");
  await w.happens("STOP", {}, "io-error");
  assertEquals(w.said().faults, [
    "guest-io-error: The guest could not write to disk vd1: EIO; QEMU paused it",
  ]);
  assertEquals(w.guest.shouldRun, false);
  await w.end();
});

Deno.test("a guest that resumes before QEMU says why it stopped counts as running", async () => {
  const w = await watched();
  await Promise.all([w.happens("STOP", {}, "paused"), w.happens("RESUME")]);
  assertEquals([w.guest.shouldRun, w.said()], [true, { faults: [], warnings: [] }]);
  await w.happens("STOP", {}, "paused");
  assertEquals(w.guest.shouldRun, false);
  await w.end();
});

Deno.test("a guest that shuts down or panics is a fault, a reset only a warning", async () => {
  for (
    const [event, data, status, expected] of [
      ["SHUTDOWN", { guest: true, reason: "guest-shutdown" }, "running", "guest-shutdown: "],
      [
        "SHUTDOWN",
        { guest: false, reason: "host-signal" },
        "running",
        "source-qemu-gone: QEMU was",
      ],
      ["STOP", {}, "guest-panicked", "guest-panicked: "],
      ["STOP", {}, "internal-error", "guest-stopped: "],
      ["STOP", {}, "io-error", "guest-io-error: "],
    ] as const
  ) {
    const w = await watched();
    await w.happens(event, data, status);
    assertEquals(w.said().faults.map((f) => f.slice(0, expected.length)), [expected]);
    assertEquals(w.guest.shouldRun, false);
    await w.end();
  }
  const w = await watched();
  await w.happens("RESET", { guest: true, reason: "guest-reset" });
  assertEquals(w.said(), {
    faults: [],
    warnings: ["The guest reset itself; the migration continues"],
  });
  assertEquals(w.guest.shouldRun, true);
  await w.end();
});

Deno.test("a guest that its owner paused stays paused after the migration, one that vmferry paused runs", async () => {
  const w = await watched();
  await w.happens("STOP", {}, "finish-migrate");
  assertEquals(
    [w.guest.shouldRun, w.said().warnings.length],
    [true, 0],
    "the migration's own stop",
  );
  await w.guest.suspend();
  await w.happens("STOP", {}, "paused");
  assertEquals([w.guest.shouldRun, w.guest.suspended], [true, true], "ours");
  await w.happens("RESUME", {}, "running");
  assertEquals([w.guest.shouldRun, w.guest.suspended], [true, false]);
  await w.happens("STOP", {}, "paused");
  assertEquals([w.guest.shouldRun, w.said().warnings.length], [false, 1], "somebody's");
  await w.guest.suspend();
  assertEquals(w.guest.suspended, false, "it stands already");
  await w.happens("RESUME", {}, "running");
  assertEquals(w.guest.shouldRun, true);
  w.guest[Symbol.dispose]();
  await w.happens("STOP", {}, "paused");
  assertEquals(w.guest.shouldRun, true, "nobody watches any more");
  await w.end();
  const standing = await watched(false);
  assertEquals(standing.guest.shouldRun, false);
  await standing.end();
});

Deno.test("a change of whether the guest must run is reported, but not vmferry's own pauses", async () => {
  const w = await watched(false);
  await w.happens("RESUME", {}, "running");
  await w.guest.suspend();
  await w.happens("STOP", {}, "paused");
  await w.guest.letRun();
  await w.happens("RESUME", {}, "running");
  assertEquals(w.told, [true]);
  await w.happens("STOP", {}, "paused");
  await w.happens("RESUME", {}, "running");
  await w.happens("STOP", {}, "finish-migrate");
  assertEquals(w.told, [true, false, true]);
  await w.end();
});

Deno.test("a look finds a state that changed before the watch began", async () => {
  const w = await watched(false);
  await w.guest.look((status) => status === "running");
  assertEquals([w.guest.shouldRun, w.told], [true, [true]]);
  await w.end();
});

Deno.test("a guest that meets a disk error during a brief pause is not resumed", async () => {
  const w = await watched();
  await w.guest.suspend();
  await w.happens("STOP", {}, "paused");
  const error = { device: "", "node-name": "d1", operation: "write", action: "stop" };
  await w.happens("BLOCK_IO_ERROR", error, "io-error");
  await w.guest.letRun();
  assertEquals(w.qemu.received.some(({ command }) => command === "cont"), false);
  await w.end();
});

Deno.test("a guest that falls asleep is a fault unless both QEMUs can migrate it", async () => {
  for (const can of [true, false]) {
    const w = await watched(true, can);
    await w.happens("SUSPEND", {}, "suspended");
    assertEquals(w.said().faults.length, can ? 0 : 1);
    assertEquals(w.guest.shouldRun, true);
    await w.happens("WAKEUP", {}, "running");
    assertEquals(w.guest.shouldRun, true);
    await w.end();
  }
  const slept = await watched();
  await slept.happens("STOP", {}, "suspended");
  await slept.guest.look(() => true);
  assertEquals(slept.said().faults.length, 1, "it was asleep before it was watched");
  await slept.end();
});

Deno.test("after the handover QEMU's pauses are not the guest's", async () => {
  const w = await watched();
  w.source.isHandedOver = true;
  await w.happens("RESUME");
  await w.happens("STOP", {}, "paused");
  assertEquals(w.said(), { faults: [], warnings: [] });
  assertEquals([w.told, w.guest.shouldRun], [[], true]);
  await w.end();
});
