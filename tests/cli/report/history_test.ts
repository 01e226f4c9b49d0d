import { assertEquals, assertLess } from "@std/assert";
import type { MigrationEvent } from "../../../src/migrate/mod.ts";
import { VERSION } from "../../../src/cli/version.ts";
import { RunHistory } from "../../../src/cli/report/history.ts";

const START = Date.UTC(2026, 0, 2, 3, 4, 5);
const RESULT: MigrationEvent & { readonly event: "result" } = {
  ...{ event: "result", outcome: "failed", downtimeMs: null, pauseMs: null, totalMs: 9000 },
  ...{ bytes: 130, next: ["try again"] },
  error: { code: "disk-full", message: "destination: disk vda is full", side: "destination" },
};

/** A history whose time is set, ms after its beginning. */
function clocked(side: "source" | "destination" = "source") {
  let at = 0;
  const about = { side, command: "migrate", host: "host-a", settings: [] };
  const history = new RunHistory({ about, now: () => START + at });
  const note = (ms: number, ...events: MigrationEvent[]) => {
    at = ms;
    for (const event of events) history.note(event);
  };
  return { history, note };
}

function progress(iteration: number, transferred: number): MigrationEvent {
  return {
    ...{ event: "progress", phase: "ram", rate: 7, eta: 1 },
    disks: [{ name: "vda", transferred: 30, total: 40, ready: true }],
    ram: { transferred, remaining: 5, total: 64, dirtyRate: 9, iteration, throttlePercent: 20 },
  };
}

Deno.test("phases last until the next one, and the last one until the result", () => {
  const { history, note } = clocked();
  note(1000, { event: "phase", phase: "prepare" });
  note(3000, { event: "phase", phase: "mirror" });
  assertEquals(history.data().phases, [
    { phase: "prepare", fromMs: 1000, toMs: 3000 },
    { phase: "mirror", fromMs: 3000, toMs: null },
  ]);
  note(9000, RESULT);
  const data = history.data();
  assertEquals(data.phases[1]!.toMs, 9000);
  assertEquals([data.startedAt, data.endedAt, data.elapsedMs], [
    ...["2026-01-02T03:04:05.000Z", "2026-01-02T03:04:14.000Z", 9000],
  ]);
  assertEquals(data.result, RESULT);
  note(20_000);
  assertEquals(history.data().elapsedMs, 9000);
});

Deno.test("the reports of a lost connection become one cut with its attempts", () => {
  const { history, note } = clocked();
  for (const [ms, attempt] of [[1000, 0], [2000, 1], [3000, 2]] as const) {
    note(ms, { event: "link", state: "down", attempt, graceLeft: 60 });
  }
  note(3500, { event: "link", state: "up", attempt: 3, graceLeft: null });
  note(8000, { event: "link", state: "down", attempt: 0, graceLeft: 60 });
  assertEquals(history.data().cuts, [
    { fromMs: 1000, toMs: 3500, attempts: 3 },
    { fromMs: 8000, toMs: null, attempts: 0 },
  ]);
});

Deno.test("a pause begins once, and ends when the guest runs anywhere", () => {
  const { history, note } = clocked();
  note(1000, { event: "guest", state: "paused", side: "source" });
  note(1100, { event: "guest", state: "paused", side: "source" });
  note(1200, { event: "guest", state: "running", side: "destination" });
  assertEquals(history.data().pauses, [{ fromMs: 1000, toMs: 1200 }]);
});

Deno.test("bytes on the wire go on counting when another session begins", () => {
  const { history, note } = clocked();
  const session: MigrationEvent = { event: "session", peerVersion: "1.0.0" };
  note(0, session, { event: "traffic", bytes: 100, rttMs: 3 });
  note(1000, session, { event: "traffic", bytes: 50, rttMs: null });
  const { wireBytes, rttMs } = history.data().samples;
  assertEquals([wireBytes, rttMs], [[100, 150], [3, null]]);
});

Deno.test("each pass over RAM is listed once, with what had crossed before", () => {
  const { history, note } = clocked();
  note(1000, progress(1, 10), progress(1, 20));
  note(2000, progress(2, 60));
  const { passes, ram, disks } = history.data();
  assertEquals(passes.map(({ atMs, pass, sentBytes }) => [atMs, pass, sentBytes]), [
    [1000, 1, 10],
    [2000, 2, 60],
  ]);
  assertEquals([ram?.iteration, disks[0]!.name], [2, "vda"]);
});

Deno.test("warnings, steps and the failure are listed when they came", () => {
  const { history, note } = clocked();
  note(10, { event: "warning", code: "storage", message: "one" });
  note(20, {
    ...{ event: "ladder", step: "auto-converge", message: "two" },
    ...{ rate: 1, left: 2, changed: null, throttlePercent: 20 },
  });
  note(30, RESULT);
  assertEquals(history.data().events, [
    { atMs: 10, kind: "warning", code: "storage", message: "one" },
    { atMs: 20, kind: "step", message: "two" },
    { atMs: 30, kind: "error", code: "disk-full", message: RESULT.error!.message },
  ]);
});

Deno.test("each end is described by what is known of it", () => {
  const { history, note } = clocked("destination");
  note(0, { event: "session", peerVersion: "0.9.1" });
  note(1, { event: "host", side: "destination", qemuVersion: "10.0.2" });
  const settings = [{ name: "--verify", value: "" }];
  note(2, { event: "host", side: "source", host: "host-b", command: "migrate", settings });
  note(3, { event: "host", side: "source", qemuVersion: "7.2.0" });
  assertEquals(history.data().ends, [
    {
      ...{ side: "source", vmferry: "0.9.1", qemu: "7.2.0", host: "host-b", command: "migrate" },
      settings,
    },
    {
      ...{ side: "destination", vmferry: VERSION, qemu: "10.0.2", host: "host-a" },
      ...{ command: "migrate", settings: [] },
    },
  ]);
});

Deno.test("no ticket of an address is kept", () => {
  const { history, note } = clocked("destination");
  const ticket = "A".repeat(80);
  note(0, { event: "listening", address: `vmferry://host:1234/${ticket}` });
  assertEquals(JSON.stringify(history.data()).includes("AAAA"), false);
});

Deno.test("limits that were changed meanwhile are among the events", () => {
  const { history, note } = clocked();
  note(7000, { event: "limits", bandwidth: 5 << 20, maxDowntimeMs: 300 });
  assertEquals(history.data().events, [{
    ...{ atMs: 7000, kind: "note" },
    message: "vmferry set: bandwidth: at most 5.00 MiB/s; downtime: at most 300 ms",
  }]);
});

Deno.test("a day of events does not grow the report without limit", () => {
  const { history, note } = clocked();
  for (let i = 0; i < 100_000; i++) {
    const state = i % 2 ? "up" : "down";
    note(
      i * 864,
      { event: "warning", code: "storage", message: `warning ${i}` },
      { event: "link", state, attempt: 0, graceLeft: null },
      { event: "guest", state: i % 2 ? "running" : "paused", side: "source" },
      { event: "traffic", bytes: i, rttMs: 1 },
      progress(i, i),
    );
  }
  const data = history.data();
  assertLess(JSON.stringify(data).length, 1_000_000);
  assertEquals([data.events[0]!.message, data.events.at(-1)!.message], [
    ...["warning 0", "warning 99999"],
  ]);
  assertLess(100_000, data.leftOut);
});
