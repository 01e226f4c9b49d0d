import { assertEquals } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { GuestPauses } from "../../../src/migrate/guest/pauses.ts";
import { GuestWatch } from "../../../src/migrate/guest/watch.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

/** A guest, its pauses, and every command, record and report in order. */
async function stops({ running = true } = {}) {
  const [ours, theirs] = memoryPipe();
  const done: string[] = [];
  const command = (name: string) => () => {
    done.push(name);
    return { return: {} };
  };
  const qemu = new FakeQemu(theirs, {
    ...{ stop: command("stop"), cont: command("cont") },
    "query-status": () => ({ return: { status: "paused", running: false } }),
  });
  const qmp = await QmpClient.open(ours);
  const clock = new ManualClock();
  const cancel = new AbortController();
  const guest = new GuestWatch(running, {
    ...{ qmp, log: silentLogger, report: () => {}, asleepCanGo: true, shouldRunChanged: () => {} },
    isHandedOver: false,
    fault: (error) => done.push(`fault ${error.message}`),
  });
  const all = new GuestPauses({
    ...{ clock, guest, signal: cancel.signal, maxPauseMs: 300 },
    report: (event) => event.event === "warning" && done.push(event.code),
    writePause: (stopped) => {
      done.push(`stopped: ${stopped}`);
      return Promise.resolve();
    },
    fault: (error) => done.push(`fault ${error}`),
  });
  return {
    ...{ all, clock, cancel, done, guest },
    async happens(event: string) {
      await qemu.say({ event, data: {}, timestamp: { seconds: 1, microseconds: 0 } });
      await later();
    },
    end: () => qmp[Symbol.asyncDispose](),
  };
}

/** Runs everything that needs no time. */
async function later(): Promise<void> {
  for (let i = 0; i < 30; i++) await settle();
}

const HELD = ["stopped: held", "stop", "cont", "stopped: no"];
const never = () => new Promise<void>(() => {});

Deno.test("a brief pause lasts until its purpose is reached, and the journal records both ends of it", async () => {
  const { all, clock, done, end } = await stops();
  const { promise, resolve } = Promise.withResolvers<void>();
  const holding = all.hold(() => promise);
  await later();
  assertEquals(done, HELD.slice(0, 2));
  await clock.advance(120);
  resolve();
  assertEquals(await holding, { done: true, ms: 120 });
  assertEquals(done, HELD);
  // It may be paused again.
  assertEquals(await all.hold(() => Promise.resolve()), { done: true, ms: 0 });
  assertEquals(done, [...HELD, ...HELD]);
  await end();
});

Deno.test("holdNoMore resolves once the guest runs again, and refuses later pauses", async () => {
  const { all, clock, done, end } = await stops();
  const holding = all.hold(never);
  let isOver = false;
  const over = all.holdNoMore().then(() => isOver = true);
  await later();
  assertEquals([done, isOver], [HELD.slice(0, 2), false]);
  await clock.advance(300);
  await over;
  assertEquals([await holding, done], [{ done: false, ms: 300 }, HELD]);
  assertEquals(await all.hold(never), undefined);
  assertEquals(done, HELD);
  await end();
});

Deno.test("a brief pause ends after holdMs, and when the migration is given up", async () => {
  const late = await stops();
  let told: unknown;
  const holding = late.all.hold((signal) => {
    signal.addEventListener("abort", () => told = "no longer");
    return never();
  });
  await later();
  await late.clock.advance(300);
  assertEquals(await holding, { done: false, ms: 300 });
  assertEquals([late.done, told], [HELD, "no longer"]);
  await late.end();

  const cancelled = await stops();
  const cut = cancelled.all.hold(never);
  await later();
  cancelled.cancel.abort(new Error("given up"));
  assertEquals(await cut, { done: false, ms: 0 });
  assertEquals(cancelled.done, HELD);
  assertEquals(await cancelled.all.hold(never), undefined);
  await cancelled.end();
});

Deno.test("a guest that is paused for another reason is neither paused nor resumed", async () => {
  const paused = await stops({ running: false });
  assertEquals(await paused.all.hold(never), undefined);
  assertEquals(paused.done, []);
  await paused.end();

  const suspended = await stops();
  suspended.all.suspend("the time is up");
  suspended.all.due();
  // Nor while a pause for the rest of the copy is about to begin.
  assertEquals(await suspended.all.hold(never), undefined);
  await later();
  assertEquals(suspended.done, ["guest-suspended", "stopped: suspended", "stop"]);
  assertEquals(await suspended.all.hold(never), undefined);
  await suspended.end();
});

Deno.test("a pause for the rest of the copy is interrupted, and due again", async () => {
  const { all, done, guest, end } = await stops();
  all.suspend("the time is up");
  all.due();
  await all.interrupt();
  const first = ["guest-suspended", "stopped: suspended", "stop"];
  assertEquals(done, [...first, "cont", "stopped: no"]);
  assertEquals(guest.suspended, false);
  all.due();
  await later();
  assertEquals(done, [...first, "cont", "stopped: no", ...first]);
  await end();
});

Deno.test("without a pause of vmferry's there is none to interrupt, and none is due", async () => {
  const running = await stops();
  await running.all.interrupt();
  running.all.due();
  assertEquals(running.done, []);
  await running.end();

  const paused = await stops({ running: false });
  paused.all.suspend("the time is up");
  await paused.all.interrupt();
  assertEquals(paused.done, []);
  await paused.end();

  const resumed = await stops();
  resumed.all.suspend("the time is up");
  resumed.all.due();
  await later();
  await resumed.happens("RESUME");
  await resumed.all.interrupt();
  resumed.all.due();
  await later();
  assertEquals(resumed.done, ["guest-suspended", "stopped: suspended", "stop"]);
  await resumed.end();
});

Deno.test("the pause of a killed process is interrupted, and due again", async () => {
  const { all, done, guest, end } = await stops();
  await guest.adoptPause();
  await all.interrupt();
  assertEquals(done, ["cont", "stopped: no"]);
  all.due();
  await later();
  assertEquals(done.slice(2), ["guest-suspended", "stopped: suspended", "stop"]);
  await end();

  const owners = await stops({ running: false });
  await owners.guest.adoptPause();
  await owners.all.interrupt();
  assertEquals([owners.guest.suspended, owners.done], [false, []]);
  await owners.end();
});

Deno.test("a guest whose owner resumes it during a brief pause is not resumed again", async () => {
  const { all, clock, done, guest, happens, end } = await stops();
  const holding = all.hold(never);
  await later();
  await happens("RESUME");
  await clock.advance(300);
  assertEquals(await holding, { done: false, ms: 300 });
  assertEquals(done, ["stopped: held", "stop", "stopped: no"]);
  assertEquals([guest.shouldRun, guest.suspended], [true, false]);
  await end();
});
