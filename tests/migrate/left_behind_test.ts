import { assertEquals } from "@std/assert";
import {
  firstRecord,
  firstSourceRecord,
  parseRecord,
  type SourceRecord,
} from "../../src/migrate/journal.ts";
import { isLeft, isOpen, qemuFacts } from "../../src/migrate/handover/recover.ts";
import type { DestinationState } from "../../src/migrate/handover/states.ts";
import type { SourceState } from "../../src/migrate/handover/states.ts";
import { QmpClient } from "../../src/qmp/mod.ts";
import { FakeQemu } from "../support/fake_qemu.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

const SOURCE = firstSourceRecord({ qmp: "/run/q", destination: "tcp://h:1" });
const DESTINATION = firstRecord({ migration: "m", qmp: "/run/q", listen: "tcp://h:1" });
const LEFT = ["the mirror jobs (not done in time)"];

Deno.test("a record without `left`, of an older version, means that nothing is left", () => {
  for (const record of [SOURCE, DESTINATION]) {
    const { left: _left, qemu: _qemu, ...old } = record;
    assertEquals(parseRecord(JSON.parse(JSON.stringify(old))), record);
  }
});

Deno.test("the next run undoes the rest of an ended migration only, never of one that was handed over", () => {
  const states: SourceState[] = [
    ...["prepare", "mirror", "ram", "switchover", "handover", "done", "undone", "unknown"] as const,
  ];
  const theirs: DestinationState[] = [
    ...["waiting", "prepared", "loading", "loaded", "starting"] as const,
    ...["finished", "failed", "lost"] as const,
  ];
  const records = [
    ...states.map((state) => ({ ...SOURCE, state, left: LEFT })),
    ...theirs.map((state) => ({ ...DESTINATION, state, left: LEFT })),
  ];
  const named = (which: (record: (typeof records)[number]) => boolean) =>
    records.filter(which).map(({ state }) => state);
  assertEquals(named(isLeft), ["done", "undone", "finished", "failed"]);
  assertEquals(named(isOpen), ["handover", "unknown", "starting", "lost"]);
  assertEquals(isLeft({ ...SOURCE, state: "undone" }), false, "nothing is left");
});

/** A QEMU without anything of vmferry's, whose first vCPU has this thread id. */
async function factsOf(record: SourceRecord, thread: number) {
  const [ours, theirs] = memoryPipe();
  const qemu = new FakeQemu(theirs, {
    "query-status": () => ({ return: { status: "running" } }),
    "query-migrate": () => ({ return: {} }),
    "query-jobs": () => ({ return: [] }),
    "query-named-block-nodes": () => ({ return: [] }),
    "query-cpus-fast": () => ({ return: [{ "cpu-index": 0, "thread-id": thread }] }),
  });
  const qmp = await QmpClient.open(ours);
  try {
    return await qemuFacts(qmp, record);
  } finally {
    qemu.close();
  }
}

Deno.test("leftover settings are restored only in the same QEMU process", async () => {
  const record: SourceRecord = { ...SOURCE, state: "undone", left: LEFT, qemu: "77" };
  assertEquals((await factsOf(record, 77))?.status, "running");
  assertEquals(await factsOf(record, 78), undefined, "another one with the same socket");
  assertEquals(await factsOf({ ...record, left: null }, 77), undefined, "nothing is left in it");
});
