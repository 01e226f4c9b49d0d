import { assertEquals } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { MirrorSet } from "../../../src/migrate/disks/mirror_set.ts";
import type { MigrationError } from "../../../src/migrate/errors.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

const MIRROR = {
  ...{ name: "vd0", device: "d", sizeBytes: 1024, exportName: "e" },
  ...{ jobId: "job", targetNode: "job-target", noHoles: null, topOnly: null, delta: null },
};
const JOB = { id: "job", type: "mirror", "total-progress": 1024 };

/** A job of QEMU 11.1 that ended before it copied anything, and the outcome. */
async function endedAtOnce(
  connections: { lost: number; open: number; away: boolean },
  { progress = 0, mayWait = true } = {},
) {
  const [ours, theirs] = memoryPipe();
  let isOver = false;
  const given: string[] = [];
  const qemu = new FakeQemu(theirs, {
    "query-jobs": () => ({
      return: [
        isOver
          ? {
            ...JOB,
            "current-progress": progress,
            status: "concluded",
            error: "Input/output error",
          }
          : { ...JOB, "current-progress": 0, status: "running" },
      ],
    }),
    "query-block-jobs": () => ({ return: [] }),
    "query-named-block-nodes": () => ({ return: [] }),
    "blockdev-add": () => ({ return: {} }),
    "blockdev-mirror": () => {
      isOver = false;
      given.push("start");
      return { return: {} };
    },
    "job-dismiss": () => {
      given.push("dismiss");
      return { return: {} };
    },
  });
  const qmp = await QmpClient.open(ours);
  const clock = new ManualClock();
  const faults: MigrationError[] = [];
  const mirrors = new MirrorSet({
    ...{ qmp, clock, log: silentLogger, mirrors: [MIRROR], socketPath: "/s", mayWait },
    connections: () => connections,
    onFault: (error) => faults.push(error),
  });
  await mirrors.start(new AbortController().signal);
  const pass = async () => {
    for (let i = 0; i < 4; i++) {
      await settle();
      await clock.advance(600);
    }
  };
  await pass();
  isOver = true;
  await pass();
  qemu.close();
  return { given, faults };
}

Deno.test("a job that lost its connection before it copied anything is started again", async () => {
  const { given, faults } = await endedAtOnce({ lost: 1, open: 1, away: false });
  assertEquals([given, faults], [["start", "dismiss", "start"], []]);
});

Deno.test("a job that ended for another reason fails the migration", async () => {
  const up = { lost: 0, open: 1, away: false };
  const lost = { lost: 1, open: 1, away: false };
  for (
    const ended of [
      endedAtOnce(up),
      endedAtOnce(lost, { progress: 512 }),
      endedAtOnce(lost, { mayWait: false }),
    ]
  ) {
    const { given, faults } = await ended;
    assertEquals([given, faults.length], [["start"], 1]);
  }
});
