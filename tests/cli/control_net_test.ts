import { assert, assertEquals, assertRejects } from "@std/assert";
import { ask, findMigrations } from "../../src/cli/control/client.ts";
import { controlDestination, controlSource } from "../../src/cli/control/controlled.ts";
import { ControlError, MAX_REQUEST } from "../../src/cli/control/protocol.ts";
import { ControlServer } from "../../src/cli/control/server.ts";
import { SourceControl } from "../../src/cli/control/source_control.ts";
import { StatusBoard } from "../../src/cli/control/status_board.ts";
import { MigrationTimeout } from "../../src/cli/args/timeout.ts";
import { DeadlineError, silentLogger, systemClock, writeAll } from "../../src/io/mod.ts";
import {
  LadderError,
  Limits,
  type MigrationError,
  type MigrationEvent,
} from "../../src/migrate/mod.ts";
import { connectUnix, listenUnix } from "../../src/transport/mod.ts";
import { readAll } from "../support/bytes.ts";
import { inDirectory } from "../support/in_directory.ts";
import { ManualClock } from "../support/manual_clock.ts";

const RESULT = {
  ...{ event: "result" as const, outcome: "cancelled" as const, downtimeMs: null },
  ...{ pauseMs: null, totalMs: 1, bytes: 1, error: null, next: [] },
};

async function withServer(
  work: (s: {
    base: string;
    socket: string;
    board: StatusBoard;
    limits: Limits;
    stop: AbortController;
    server: ControlServer;
  }) => Promise<void>,
): Promise<void> {
  const base = await Deno.makeTempDir();
  const runDir = `${base}/run-1`;
  await Deno.mkdir(runDir);
  const socket = `${runDir}/control.sock`;
  const board = new StatusBoard();
  const limits = new Limits(1000, 300);
  const stop = new AbortController();
  const guest = { name: "vm1", uuid: null };
  const identity = { role: "source" as const, pid: 1, runDir, qmp: "/q", guest };
  const server = new ControlServer(
    await listenUnix(socket),
    controlSource(board, identity, limits, stop),
    systemClock,
    silentLogger,
  );
  try {
    await work({ base, socket, board, limits, stop, server });
  } finally {
    board.note(RESULT);
    await server.close();
    await Deno.remove(base, { recursive: true });
  }
}

Deno.test("status and set are carried out over the socket, until it is too late", async () => {
  await withServer(async ({ base, socket, board, limits }) => {
    const { found, silent } = await findMigrations(base);
    assertEquals([found.length, silent.length], [1, 0]);
    assertEquals(found[0]!.status.guest.name, "vm1");
    const set = (change: object) => ask(socket, { command: "set", ...change }, 5000);
    assertEquals(await set({ bandwidth: 5 }), { bandwidth: 5, maxDowntimeMs: 300 });
    assertEquals(limits.bandwidth, 5);

    board.note({ event: "phase", phase: "switchover" });
    assertEquals(await set({ bandwidth: null }), { bandwidth: null, maxDowntimeMs: 300 });
    await assertRejects(() => set({ maxDowntimeMs: 1 }), ControlError, "stopped");
    board.note({ event: "phase", phase: "handover" });
    await assertRejects(() => set({ bandwidth: 1 }), ControlError, "being handed over");
    assertEquals([limits.bandwidth, limits.maxDowntimeMs], [null, 300]);
  });
});

Deno.test("a migration whose limits were changed reports those that hold from then on", async () => {
  await inDirectory(async (dir) => {
    const events: MigrationEvent[] = [];
    const report = (event: MigrationEvent) => void events.push(event);
    await using control = new SourceControl(
      { bandwidth: 1000, maxDowntimeMs: 300, timeoutMs: 0, timeoutAction: "abort" },
      { report, log: silentLogger },
    );
    control.begin();
    const guest = { name: "vm1", uuid: null };
    const socket = `${dir}/control.sock`;
    await control.serve(socket, { role: "source", pid: 1, runDir: dir, qmp: "/q", guest });
    const set = (change: object) => ask(socket, { command: "set", ...change }, 5000);
    const answer = await set({ bandwidth: 5 });
    assertEquals(events, [{ event: "limits", ...answer as object } as MigrationEvent]);
    await assertRejects(() => set({ autoConverge: true }), ControlError, "not begun yet");
    assertEquals(events.length, 1);
    control.report(RESULT);
  });
});

Deno.test("cancel is answered when the migration has ended, and not once it is too late", async () => {
  await withServer(async ({ socket, board, stop, server }) => {
    let answered = false;
    const cancel = () => ask(socket, { command: "cancel" }, 5000);
    const first = cancel().finally(() => answered = true);
    await new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve()));
    assertEquals((stop.signal.reason as MigrationError).kind, "cancelled");
    // Asked while it is being undone: the same word, when it is over.
    const second = cancel();
    const status = await ask(socket, { command: "status" }, 5000) as { ending: string };
    assertEquals(status.ending, "Cancelled by 'vmferry cancel'");
    await assertRejects(
      () => ask(socket, { command: "set", bandwidth: 1 }, 5000),
      ControlError,
      "being undone",
    );
    assertEquals(answered, false);
    board.note(RESULT);
    await assertRejects(cancel, ControlError, "has ended");
    assertEquals(answered, false, "what is left of it must be gone first");
    await server.close();
    assertEquals([await first, await second], [RESULT, RESULT]);
  });
  await withServer(async ({ socket, board, stop }) => {
    board.note({ event: "phase", phase: "handover" });
    const cancel = () => ask(socket, { command: "cancel" }, 5000);
    await assertRejects(cancel, ControlError, "Too late to cancel");
    board.note({ event: "phase", phase: "done" });
    await assertRejects(cancel, ControlError, "at the destination already");
    assertEquals(stop.signal.aborted, false);
  });
});

Deno.test("a migration is given a timeout while it runs, and told to pause its guest", async () => {
  const board = new StatusBoard();
  const stop = new AbortController();
  const clock = new ManualClock();
  const paused: string[] = [];
  using timeout = new MigrationTimeout(clock, 0, "abort", () => {});
  const identity = {
    ...{ role: "source" as const, pid: 1, runDir: "/r", qmp: "/q" },
    guest: { name: null, uuid: null },
  };
  const limits = new Limits(null, 300);
  const controlled = controlSource(board, identity, limits, stop, {
    timeout,
    pause: (why) => paused.push(why),
    steps: () => Promise.resolve(),
  });
  const before = { bandwidth: null, maxDowntimeMs: 300 };
  await assertRejects(
    () => controlled.set({ timeoutAction: "pause" }),
    ControlError,
    "there is none",
  );
  assertEquals(await controlled.set({ timeoutMs: 1000, timeoutAction: "pause" }), {
    ...{ ...before, pause: null, timeoutMs: 1000, timeoutAction: "pause" },
  });
  assertEquals(await controlled.set({ pause: "when-copied" }), {
    ...{ ...before, pause: "when-copied", timeoutMs: 1000, timeoutAction: "pause" },
  });
  assertEquals(paused.length, 1);
  board.note({ event: "phase", phase: "switchover" });
  await assertRejects(() => controlled.set({ pause: "when-copied" }), ControlError, "already");
});

Deno.test("a destination can be ended, and has no limits", async () => {
  const board = new StatusBoard();
  const reasons: MigrationError[] = [];
  const identity = {
    ...{ role: "destination" as const, pid: 1, runDir: "/r", qmp: "/q" },
    guest: { name: null, uuid: null },
  };
  const controlled = controlDestination(board, identity, (reason) => reasons.push(reason));
  await assertRejects(() => controlled.set({ bandwidth: 1 }), ControlError, "the source's");
  controlled.cancel();
  assertEquals(reasons.map((r) => [r.kind, r.side]), [["cancelled", "destination"]]);
  assert(controlled.status().ending?.includes("vmferry cancel"));
});

Deno.test("a malformed request gets an error, one that is too long a closed connection; others are served", async () => {
  await withServer(async ({ socket }) => {
    const pipe = await connectUnix(socket);
    const text = '{"command":"quit"}\nnonsense\n{"command":"status"}\n';
    await writeAll(pipe, new TextEncoder().encode(text));
    await pipe.closeWrite();
    const answers = new TextDecoder().decode(await readAll(pipe)).trim().split("\n");
    pipe.close();
    assertEquals(answers.map((a) => JSON.parse(a).error?.code ?? JSON.parse(a).result.event), [
      ...["bad-request", "bad-request", "status"],
    ]);
    const flood = await connectUnix(socket);
    await writeAll(flood, new Uint8Array(MAX_REQUEST + 4096).fill(97)).catch(() => {});
    assertEquals((await readAll(flood).catch(() => new Uint8Array())).length, 0);
    flood.close();
    await ask(socket, { command: "status" }, 5000);
  });
});

Deno.test("status names the directory of a killed process and a process that does not answer", async () => {
  await withServer(async ({ base }) => {
    // Closing would remove it under its first name.
    await Deno.mkdir(`${base}/run-0`);
    const killed = Deno.listen({ transport: "unix", path: `${base}/first` });
    await Deno.rename(`${base}/first`, `${base}/run-0/control.sock`);
    killed.close();
    // Its directory is there, its socket not yet.
    await Deno.mkdir(`${base}/run-2`);
    const { found, silent } = await findMigrations(base);
    assertEquals(found.length, 1);
    assertEquals(silent, [{
      runDir: `${base}/run-0`,
      stale: true,
      reason: "its process is gone; it was killed or crashed",
    }]);
    assertEquals(await findMigrations(`${base}/none`), { found: [], silent: [] });

    using _stopped = Deno.listen({ transport: "unix", path: `${base}/stopped` });
    await assertRejects(
      () => ask(`${base}/stopped`, { command: "status" }, 100),
      DeadlineError,
      "is it stopped?",
    );
  });
});

Deno.test("steps are taken and forbidden while a migration runs, and one that is not possible is refused", async () => {
  const board = new StatusBoard();
  using timeout = new MigrationTimeout(new ManualClock(), 0, "abort", () => {});
  const identity = {
    ...{ role: "source" as const, pid: 1, runDir: "/r", qmp: "/q" },
    guest: { name: null, uuid: null },
  };
  const asked: unknown[] = [];
  const controlled = controlSource(board, identity, new Limits(null, 300), new AbortController(), {
    timeout,
    pause: () => {},
    steps: (change) => {
      asked.push(change);
      return change.postcopy === "now"
        ? Promise.reject(new LadderError("not allowed"))
        : Promise.resolve();
    },
  });
  const rest = { bandwidth: null, maxDowntimeMs: 300, pause: null, timeoutMs: null };
  const set = await controlled.set({ autoConverge: true });
  assertEquals(set, { ...rest, timeoutAction: "abort", autoConverge: true });
  await assertRejects(() => controlled.set({ postcopy: "now" }), ControlError, "not allowed");
  const both = await controlled.set({ autoConverge: false, postcopy: "never" });
  assertEquals(both, { ...rest, timeoutAction: "abort", autoConverge: false, postcopy: "never" });
  assertEquals(asked.length, 3);
  assertEquals(await controlled.set({ bandwidth: 7 }), { ...both, bandwidth: 7 });
  assertEquals(asked.length, 3, "a change of a limit is no step");
  board.note({ event: "phase", phase: "switchover" });
  await assertRejects(() => controlled.set({ autoConverge: true }), ControlError, "stopped");
});
