import { assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/io/mod.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { fakeDestination } from "../../support/fake_destination.ts";
import { STARTING, turns } from "./support.ts";

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
