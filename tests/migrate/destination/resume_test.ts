import { assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/io/mod.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { fakeDestination } from "../../support/fake_destination.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { announced, never, pass, STARTING, turns } from "./support.ts";

Deno.test("a resumed, finished destination waits until its own source has asked for the state", async () => {
  const destination = await fakeDestination(systemClock, {}, {
    resume: { ...STARTING, state: "finished" },
  });
  const { migration } = destination;
  await migration.resume();
  await migration.outcome();
  let told = false;
  migration.told.then(() => told = true);
  for (const [asks, isTold] of [["another", false], ["one", true]] as const) {
    const source = await destination.source();
    await source.status(asks);
    await source.close();
    await turns();
    assertEquals(told, isTold, asks);
  }
  await destination.end();
});

Deno.test("a resumed migration with an unknown outcome stays unknown, and its QEMU is not ended", async () => {
  const lost = { ...STARTING, state: "lost" as const };
  const destination = await fakeDestination(systemClock, {}, { resume: lost });
  await destination.migration.resume();
  const error = await assertRejects(() => destination.migration.outcome(), MigrationError);
  assertEquals([error.kind, error.code], ["unknown", "not-seen-running"]);
  assertEquals(destination.qemu.count("quit"), 0);
  destination.qemu.fake.close();
});

Deno.test("a resumed migration that was killed in prepare is undone, prepared anew and kept", async () => {
  const clock = new ManualClock();
  const resume = { ...STARTING, state: "waiting" as const, incomingStarted: false, run: null };
  const destination = await fakeDestination(clock, {}, { resume });
  const { migration, qemu } = destination;
  qemu.nbdServer = true;
  const resuming = migration.resume();
  await pass(clock, 5);
  await resuming;
  assertEquals(qemu.nbdServer, false);
  const source = await destination.source();
  await source.prepare(announced("one"), never);
  // Longer than a source may take to come back.
  await pass(clock, 60);
  assertEquals((await source.status("one")).state, "prepared");
  await source.close(100);
  qemu.fake.close();
});

Deno.test("a resumed migration is given up when no source attaches in time, and kept when one does", async () => {
  for (const attaches of [false, true]) {
    const clock = new ManualClock();
    const resume = { ...STARTING, state: "loaded" as const, run: null };
    const destination = await fakeDestination(clock, {}, { resume });
    const { migration, qemu, written } = destination;
    qemu.migration = "completed";
    await migration.resume();
    const source = await destination.source();
    if (attaches) await source.attach("one", never);
    await pass(clock, 60);
    assertEquals(written.at(-1)?.state, attaches ? undefined : "failed");
    // The whole guest was in it.
    assertEquals(qemu.count("quit"), attaches ? 0 : 1);
    await source.close(100);
    qemu.fake.close();
  }
});

for (const [state, incomingStarted] of [["loading", true], ["prepared", true]] as const) {
  Deno.test(`a resumed migration that was ${state} while RAM crossed is given up`, async () => {
    const clock = new ManualClock();
    const resume = { ...STARTING, state, incomingStarted, run: null };
    const destination = await fakeDestination(clock, {}, { resume });
    const { migration, written, qemu } = destination;
    const resuming = migration.resume();
    await pass(clock, 30);
    await resuming;
    const error = await assertRejects(() => migration.outcome(), MigrationError);
    assertEquals([error.code, written.at(-1)?.state], ["cut-off", "failed"]);
    assertEquals(qemu.count("cont"), 0);
    qemu.fake.close();
  });
}

Deno.test("a resumed migration whose exports QEMU no longer has is given up", async () => {
  const resume = {
    ...STARTING,
    ...{ state: "prepared" as const, incomingStarted: false, run: null },
    exports: [{ disk: "vd0", exportName: "vd0-1", id: "vmferry-1-0" }],
  };
  const destination = await fakeDestination(systemClock, {}, { resume });
  await destination.migration.resume();
  const error = await assertRejects(() => destination.migration.outcome(), MigrationError);
  assertEquals([error.code, destination.written.at(-1)?.state], ["exports-gone", "failed"]);
  await destination.end();
});

for (const run of [true, false]) {
  Deno.test(`a resumed start of a guest that is to ${run ? "run" : "stay paused"} does just that`, async () => {
    const destination = await fakeDestination(systemClock, {
      "cont": () => {
        destination.qemu.status = "running";
        return { return: {} };
      },
    }, { resume: { ...STARTING, run } });
    destination.qemu.status = "paused";
    await destination.migration.resume();
    await destination.migration.outcome();
    assertEquals(destination.qemu.count("cont"), run ? 1 : 0);
    assertEquals(destination.written.at(-1)?.state, "finished");
    await destination.end();
  });
}
