import { assertEquals, assertThrows } from "@std/assert";
import { matching, theOne } from "../../src/cli/control/choice.ts";
import type { Found } from "../../src/cli/control/client.ts";
import { ControlError, parseAnswer, parseRequest } from "../../src/cli/control/protocol.ts";
import { StatusBoard } from "../../src/cli/control/status_board.ts";
import { lineOf } from "../../src/cli/output/lines.ts";
import { resultEvent } from "../../src/cli/output/result.ts";
import { parseLimitChange } from "../../src/cli/args/limits.ts";
import { UsageError } from "../../src/cli/args/usage_error.ts";
import { MigrationError, type MigrationEvent, type Side } from "../../src/migrate/mod.ts";

const UUID = "5a1f2c6e-0000-4000-8000-000000000001";
const LIMITS = { bandwidth: null, maxDowntimeMs: 300, ending: null };

function boardWith(...events: MigrationEvent[]): StatusBoard {
  const board = new StatusBoard();
  for (const event of events) board.note(event);
  return board;
}

function migration(name: string | null, role: Side = "source"): Found {
  const qmp = `/run/${name}.qmp`;
  const identity = { role, pid: 7, runDir: "/run/x", qmp, guest: { name, uuid: UUID } };
  return {
    socket: "/run/x/control.sock",
    qmp: [qmp, `/real/${name}.qmp`],
    status: boardWith().status(identity, LIMITS),
  };
}

Deno.test("a request is parsed, a malformed one is refused with the reason", () => {
  assertEquals(parseRequest('{"command":"status","later":1}'), { command: "status" });
  assertEquals(parseRequest('{"command":"set","bandwidth":null,"maxDowntimeMs":0}'), {
    ...{ command: "set", bandwidth: null, maxDowntimeMs: 0 },
  });
  const pause = '{"command":"set","pause":"when-copied","timeoutMs":0,"timeoutAction":"suspend"}';
  assertEquals(parseRequest(pause), {
    ...{ command: "set", pause: "when-copied", timeoutMs: 0, timeoutAction: "pause" },
  });
  for (
    const wrong of [
      ...['{"command":"set","pause":true}', '{"command":"set","timeoutAction":"kill"}'],
      ...["", "[]", "null", "{}", '{"command":"quit"}', '{"command":"set"}', '{"command":"set",'],
      ...['{"command":"set","bandwidth":0}', '{"command":"set","maxDowntimeMs":"1"}'],
      ...['{"command":"set","autoConverge":1}', '{"command":"set","postcopy":"on"}'],
      ...['{"command":"set","bandwidth":1.5}', '{"command":"set","maxDowntimeMs":-1}'],
    ]
  ) {
    const error = assertThrows(() => parseRequest(wrong), ControlError);
    assertEquals((error as ControlError).code, "bad-request", wrong);
  }
});

Deno.test("an answer has a result or an error", () => {
  assertEquals(parseAnswer('{"result":{"a":1}}'), { a: 1 });
  assertThrows(
    () => parseAnswer('{"error":{"code":"too-late","message":"a\\u001bb"}}'),
    ControlError,
    "a?b",
  );
  assertThrows(() => parseAnswer('{"error":null}'), ControlError, "no reason");
  assertThrows(() => parseAnswer("HTTP/1.1 400"), ControlError, "expected JSON");
});

Deno.test("a migration is chosen by its QMP socket, its guest's name or UUID", () => {
  const all = [migration("a"), migration("b"), migration("a", "destination")];
  const find = (qmp: string | undefined, name: string | undefined) =>
    matching(all, { qmp: qmp === undefined ? undefined : [qmp], name }).map((f) => all.indexOf(f));
  assertEquals(find(undefined, undefined), [0, 1, 2]);
  assertEquals(find("/run/b.qmp", undefined), [1]);
  assertEquals(find("/real/b.qmp", undefined), [1]);
  assertEquals(find(undefined, "a"), [0, 2]);
  assertEquals(find(undefined, UUID.toUpperCase()), [0, 1, 2]);
  assertEquals(find("/run/a.qmp", "b"), []);

  const nothing = { qmp: undefined, name: undefined };
  assertEquals(theOne([all[1]!], [], nothing, "/run"), all[1]!);
  assertThrows(() => theOne(all, [], nothing, "/run"), UsageError, "--qmp /run/b.qmp (guest");
  const stale = { runDir: "/run/run-1", stale: true, reason: "its process is gone" };
  assertThrows(
    () => theOne([], [stale], nothing, "/run"),
    ControlError,
    "No migration runs here (none has its directory in /run); what was left there:\n" +
      "  /run/run-1: its process is gone",
  );
});

Deno.test("a status is what the events told last, and its end is known", async () => {
  const disk = { name: "vd0", transferred: 512, total: 1024, ready: false };
  const ram = { transferred: 1, remaining: 2048, total: 4096, dirtyRate: 1024, iteration: 3 };
  const board = boardWith(
    { event: "phase", phase: "mirror" },
    { event: "progress", phase: "mirror", disks: [disk], ram, rate: 1024, eta: 61 },
    { event: "warning", code: "storage", message: "the connection is slow" },
    { event: "link", state: "down", attempt: 1, graceLeft: 42 },
  );
  const identity = {
    ...{ role: "source" as const, pid: 7, runDir: "/run/x", qmp: "/q" },
    guest: { name: "vm1", uuid: null },
  };
  const text = lineOf(board.status(identity, { ...LIMITS, ending: "Cancelled" }), false)!;
  assertEquals(text.replace(/\d+ s so far/, "0 s so far").split("\n"), [
    'migrate --qmp /q (guest "vm1"), process 7',
    "  copying disks, 0 s so far, 1 min 1 s left",
    "  disk vd0: 50 % of 1.00 KiB",
    "  RAM: 2.00 KiB left, pass 3, changes at 1.00 KiB/s",
    "  rate 1.00 KiB/s, limit none, downtime limit 300 ms",
    "  connection lost, reconnecting, 42 s left",
    "  being undone: Cancelled",
    "  warning: the connection is slow",
  ]);
  assertEquals(board.over, false);
  const result = {
    ...{ event: "result" as const, outcome: "cancelled" as const, downtimeMs: null },
    ...{ pauseMs: null, totalMs: 1, bytes: 1, error: null, next: [] },
  };
  board.note(result);
  assertEquals([board.over, await board.ended], [true, result]);
});

Deno.test("a status says how many of several connections are lost", () => {
  const connections = { down: 2, of: 4 };
  const board = boardWith({ event: "link", state: "down", attempt: 0, graceLeft: 9, connections });
  const identity = {
    ...{ role: "source" as const, pid: 7, runDir: "/run/x", qmp: "/q" },
    guest: { name: "vm1", uuid: null },
  };
  const status = board.status(identity, { ...LIMITS, ending: null });
  assertEquals(status.link, { state: "down", graceLeft: 9, connections });
  const lines = lineOf(status, false)!.split("\n");
  assertEquals(lines.includes("  2 of 4 connections lost, reconnecting, 9 s left"), true);
});

Deno.test("limits are read as they are typed", () => {
  assertEquals(parseLimitChange(["bandwidth=2M", "max-downtime=1.5s"]), {
    ...{ bandwidth: 2 << 20, maxDowntimeMs: 1500 },
  });
  assertEquals(parseLimitChange(["bandwidth=none"]), { bandwidth: null });
  assertEquals(parseLimitChange(["pause=when-copied", "timeout=10m", "timeout-action=suspend"]), {
    ...{ pause: "when-copied", timeoutMs: 600_000, timeoutAction: "pause" },
  });
  assertEquals(parseLimitChange(["timeout=none"]), { timeoutMs: 0 });
  assertEquals(parseLimitChange(["auto-converge=off", "postcopy=now"]), {
    ...{ autoConverge: false, postcopy: "now" },
  });
  for (
    const [words, message] of [
      [[], "set needs"],
      [["speed=1"], 'got "speed=1"'],
      [["bandwidth"], 'bandwidth: got ""'],
      [["bandwidth=0"], 'bandwidth: got "0"'],
      [["bandwidth=1=2"], "bandwidth: got"],
      [["bandwidth=1", "bandwidth=2"], "given twice"],
      [["max-downtime=none"], "max-downtime: got"],
      [["max-downtime=2001s"], "at most 2000 s"],
      [["pause=now"], 'pause: got "now", expected when-copied'],
      [["timeout=1d"], "timeout: got"],
      [["auto-converge=yes"], 'auto-converge: got "yes", expected on or off'],
      [["postcopy=maybe"], 'postcopy: got "maybe", expected now or never'],
      [["timeout-action=kill"], "expected abort, pause or postcopy"],
    ] as const
  ) assertThrows(() => parseLimitChange(words), UsageError, message);
});

Deno.test("the result is the last event; a later warning or failure is logged", () => {
  const events: string[] = [];
  const logged: string[] = [];
  const log = { debugEnabled: false, log: (_: string, text: string) => void logged.push(text) };
  const report = new StatusBoard().noting((event) => void events.push(event.event), log);
  const traffic = { event: "traffic", bytes: 1, rttMs: null } as const;
  const result = resultEvent({ startedAt: 0, bytes: 1 });
  report(traffic);
  report(result);
  report(traffic);
  report({ event: "link", state: "down", attempt: 1, graceLeft: 1 });
  report({ event: "warning", code: "hook-failed", message: "late" });
  const error = new MigrationError("refused", "refused", "source", "later");
  report(resultEvent({ startedAt: 0, bytes: 1, error }));
  assertEquals(events, ["traffic", "result"]);
  assertEquals(logged, ["late", "later"]);
});
