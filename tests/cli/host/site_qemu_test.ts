import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { SiteQemu } from "../../../src/cli/host/site/site_qemu.ts";
import { SiteCommandError } from "../../../src/cli/host/site/site_command.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";

const never = new AbortController().signal;

/** A QEMU that `start` and `stop` bring and end after a while, and the commands that were run. */
function siteWith(commands: { start?: () => Promise<void>; stop?: () => Promise<void> } = {}) {
  const clock = new ManualClock();
  const host = { isThere: false, runs: false, ran: [] as string[] };
  const qemu = new SiteQemu({
    ...{ start: "start it", stop: "stop it", timeoutMs: 1_000, qmp: "/q", clock },
    environment: () => ({ VMFERRY_ROLE: "destination" }),
    answers: () => Promise.resolve(host.isThere),
    processes: () => Promise.resolve(() => Promise.resolve(host.runs)),
    run: async (command, { env }) => {
      host.ran.push(`${command} ${env.VMFERRY_HOOK}`);
      await (command === "start it" ? commands.start?.() : commands.stop?.());
    },
    log: silentLogger,
  });
  /** Moves the clock on until `work` has ended. */
  const inTime = async <T>(work: Promise<T>): Promise<T> => {
    let isOver = false;
    work.then(() => isOver = true, () => isOver = true);
    for (let i = 0; i < 100 && !isOver; i++) {
      await settle();
      if (!isOver) await clock.advance(100);
    }
    return await work;
  };
  return { qemu, host, inTime, clock };
}

Deno.test("a start is over once QEMU listens, a stop once it no longer does", async () => {
  const { qemu, host, inTime, clock } = siteWith();
  clock.after(300, () => host.isThere = true);
  await inTime(qemu.start(never));
  assertEquals([host.isThere, clock.now()], [true, 300]);
  host.runs = true;
  clock.after(500, () => host.isThere = false);
  clock.after(800, () => host.runs = false);
  assertEquals(await inTime(qemu.stop()), undefined);
  assertEquals([host.isThere, host.runs], [false, false]);
  assertEquals(host.ran, ["start it start", "stop it stop"]);
});

Deno.test("a QEMU that is there already is neither started nor stopped", async () => {
  const { qemu, host } = siteWith();
  host.isThere = true;
  const error = await assertRejects(() => qemu.start(never), MigrationError);
  assertEquals([error.kind, error.code], ["refused", "already-started"]);
  assertEquals(await qemu.stop(), undefined);
  assertEquals(host.ran, []);
});

Deno.test("a start that fails, or after which QEMU does not listen, can be stopped once", async () => {
  const start = () => Promise.reject(new SiteCommandError('ended with 1: "no unit"'));
  for (const site of [siteWith({ start }), siteWith()]) {
    const error = await site.inTime(assertRejects(() => site.qemu.start(never), MigrationError));
    assertEquals([error.kind, error.code], ["failed", "start-failed"]);
    await site.inTime(site.qemu.stop());
    await site.inTime(site.qemu.stop());
    assertEquals(site.host.ran, ["start it start", "stop it stop"]);
  }
});

Deno.test("a QEMU that a stop does not end is named", async () => {
  const { qemu, host, inTime } = siteWith();
  const starting = qemu.start(never);
  host.isThere = false;
  await settle();
  host.isThere = true;
  await inTime(starting);
  assertEquals(
    /the QEMU behind \/q still runs after 1 s/.test(await inTime(qemu.stop()) ?? ""),
    true,
  );
});

Deno.test("a start that is given up ends with the reason", async () => {
  const { qemu, inTime } = siteWith();
  const stop = new AbortController();
  const starting = qemu.start(stop.signal);
  await settle();
  stop.abort(new Error("cancelled"));
  await inTime(assertRejects(() => starting, Error, "cancelled"));
});

Deno.test("a stop that fails counts only while QEMU listens", async () => {
  const stop = () => Promise.reject(new SiteCommandError("ended with 1"));
  for (const [isThere, left] of [[false, undefined], [true, "ended with 1"]] as const) {
    const { qemu, host, inTime } = siteWith({ stop });
    const starting = qemu.start(never);
    await settle();
    host.isThere = true;
    await inTime(starting);
    host.isThere = isThere;
    assertEquals((await qemu.stop())?.includes(left ?? "?"), left === undefined ? undefined : true);
  }
});
