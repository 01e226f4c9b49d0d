import { assertEquals, assertRejects } from "@std/assert";
import { systemClock, withDeadline } from "../../../src/io/mod.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { fakeDestination } from "../../support/fake_destination.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import {
  announced,
  cancelled,
  loaded,
  never,
  pass,
  say,
  STARTING,
  turns,
  until,
} from "./support.ts";

const MULTIFD = { channels: 2, compression: "none", zeroPages: false };

Deno.test("the outcome is unknown, and QEMU is not ended, if QEMU is silent for three minutes after a resume", async () => {
  const clock = new ManualClock();
  const silent = { "cont": () => ({ return: {} }), "query-status": () => undefined };
  const destination = await fakeDestination(clock, silent, { resume: STARTING });
  const { migration, qemu, written } = destination;
  qemu.migration = "completed";
  const taken = migration.resume();
  const outcome = assertRejects(() => migration.outcome(), MigrationError);
  await pass(clock, 200);
  const error = await outcome;
  assertEquals([error.kind, error.code], ["unknown", "not-seen-running"]);
  assertEquals([written.at(-1)?.state, qemu.count("quit")], ["lost", 0]);
  await taken;
  await settle();
  qemu.fake.close();
});

Deno.test("a silent QEMU that may run the guest is not to be killed, also with multifd", async () => {
  const clock = new ManualClock();
  const warned: string[] = [];
  const destination = await fakeDestination(clock, {
    "cont": () => ({ return: {} }),
    "query-status": () => undefined,
  }, {
    resume: { ...STARTING, multifd: MULTIFD },
    report: (event) => event.event === "warning" && warned.push(event.message),
  });
  const { migration, qemu } = destination;
  qemu.migration = "completed";
  const taken = migration.resume();
  const outcome = assertRejects(() => migration.outcome(), MigrationError);
  await pass(clock, 220);
  assertEquals((await outcome).code, "not-seen-running");
  assertEquals(warned, []);
  await taken;
  await settle();
  qemu.fake.close();
});

Deno.test("a QEMU that has loaded the guest is ended, however slow it is, also with multifd", async () => {
  const clock = new ManualClock();
  const warned: string[] = [];
  const destination = await fakeDestination(clock, { "query-status": () => undefined }, {
    resume: { ...STARTING, state: "loaded", run: null, multifd: MULTIFD },
    report: (event) => event.event === "warning" && warned.push(event.code),
  });
  const { migration, qemu } = destination;
  qemu.migration = "completed";
  const resumed = migration.resume();
  await turns();
  const outcome = assertRejects(() => migration.outcome(), MigrationError);
  const over = migration.cancel(new MigrationError("cancelled", "cancelled", "destination", "^C"));
  await pass(clock, 30);
  await Promise.all([over, outcome, resumed]);
  assertEquals([qemu.count("quit"), warned], [1, ["destination-quit"]]);
  await settle();
  qemu.fake.close();
});

for (
  const [status, warns] of [["paused", true], ["io-error", true], ["suspended", false]] as const
) {
  Deno.test(`a guest that has run and is now "${status}" counts as started, and gets one cont`, async () => {
    const warnings: string[] = [];
    const destination = await fakeDestination(
      systemClock,
      {
        "cont": () => {
          say(destination.qemu, "RESUME");
          return { return: {} };
        },
        "query-status": () => ({ return: { status, running: status === "suspended" } }),
      },
      {
        resume: STARTING,
        report: (event) => event.event === "warning" && warnings.push(event.message),
      },
    );
    await destination.migration.resume();
    await destination.migration.outcome();
    assertEquals([destination.qemu.count("cont"), destination.written.at(-1)?.state], [
      1,
      "finished",
    ]);
    assertEquals(warnings.length, warns ? 1 : 0);
    await destination.end();
  });
}

Deno.test("a guest that has run gets no second cont, however often the source asks", async () => {
  const clock = new ManualClock();
  let answers = false;
  const destination = await fakeDestination(clock, {
    "cont": () => {
      say(destination.qemu, "RESUME");
      return { return: {} };
    },
    "query-status": () => answers ? { return: { status: "paused", running: false } } : undefined,
  }, { resume: STARTING });
  const { migration, qemu } = destination;
  const first = migration.resume();
  await until("QEMU has the command", () => qemu.count("query-status") > 0);
  await pass(clock, 70);
  await first;
  assertEquals(destination.written.at(-1)?.state, undefined, "QEMU has not said how it is");
  answers = true;
  const source = await destination.source();
  await source.attach("one", never);
  const finishing = source.finish(true);
  for (let i = 0; i < 20; i++) {
    await turns();
    await clock.advance(100);
  }
  assertEquals(await finishing, { status: "paused" });
  assertEquals(qemu.count("cont"), 1);
  qemu.fake.close();
});

Deno.test("a guest that stays paused counts as arrived only when QEMU answers query-status", async () => {
  let answers = 0;
  const destination = await fakeDestination(systemClock, {
    "query-status": () =>
      answers++ === 0
        ? { error: { class: "GenericError", desc: "not now" } }
        : { return: { status: "paused", running: false } },
  }, { resume: { ...STARTING, run: false } });
  await destination.migration.resume();
  assertEquals(destination.written.at(-1)?.state, undefined, "nothing is claimed");
  const source = await destination.source();
  await source.attach("one", never);
  assertEquals(await source.finish(false), { status: "paused" });
  assertEquals(destination.written.at(-1)?.state, "finished");
  await source.close();
  await destination.end();
});

Deno.test("a finish before load is refused and changes nothing, neither now nor later", async () => {
  const clock = new ManualClock();
  const destination = await fakeDestination(clock);
  const source = await destination.source();
  const preparing = source.prepare(announced("one"), never);
  await turns();
  await preparing;
  await assertRejects(() => source.finish(true), RpcError);
  await pass(clock, 200);
  assertEquals((await source.status("one")).state, "prepared");
  const aborting = source.abort(cancelled("over"));
  for (let i = 0; i < 20; i++) {
    await clock.advance(100);
    await turns();
  }
  await aborting;
  await source.close(100);
  destination.qemu.fake.close();
});

for (const answer of ["gives none", "refuses"] as const) {
  Deno.test(`finish is answered when QEMU ${answer === "gives none" ? "does not answer" : "refuses"} announce-self`, async () => {
    const { one, qemu, end } = await loaded({
      commands: {
        "query-commands": () => ({ return: [{ name: "announce-self" }] }),
        // FakeQemu answers in order: a command without an answer does not block those behind it.
        "announce-self": () =>
          answer === "refuses" ? { error: { class: "GenericError", desc: "no" } } : undefined,
      },
    });
    // QEMU has five seconds to answer announce-self.
    const finishing = withDeadline(systemClock, 3_000, "finish", one.finish(true));
    assertEquals(await finishing, { status: "running" });
    const commands = qemu.fake.received.map(({ command }) => command);
    const [cont, announced] = [commands.indexOf("cont"), commands.indexOf("announce-self")];
    assertEquals(cont >= 0 && announced > cont, true, "announced once the guest runs");
    await one.close();
    await end();
  });
}
