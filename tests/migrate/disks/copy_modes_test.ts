import { assertEquals } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { CopyModes } from "../../../src/migrate/disks/copy_modes.ts";
import { startMirror } from "../../../src/migrate/disks/mirror_target.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

const MIRROR = {
  ...{ name: "vd0", device: "d", sizeBytes: 1024, exportName: "e" },
  ...{ jobId: "job", targetNode: "job-target", noHoles: null, topOnly: null, delta: null },
};

Deno.test("a mirror starts in the copy mode that the user chose", async () => {
  for (const copyMode of ["background", "write-blocking"] as const) {
    const [ours, theirs] = memoryPipe();
    const qemu = new FakeQemu(theirs, { "blockdev-mirror": () => ({ return: {} }) });
    const qmp = await QmpClient.open(ours);
    const modes = new CopyModes({ qmp, log: silentLogger, mirrors: [MIRROR], copyMode });
    await startMirror(qmp, MIRROR, {
      ...{ mayWait: true, bufferBytes: undefined, copyMode: modes.begin("job") },
      signal: new AbortController().signal,
    });
    const { args } = qemu.received.find(({ command }) => command === "blockdev-mirror")!;
    assertEquals([args["copy-mode"], modes.isBlocking], [copyMode, copyMode === "write-blocking"]);
    qemu.close();
  }
});

Deno.test("the guest's writes count as blocked where another process may have set the mode", async () => {
  const [ours, theirs] = memoryPipe();
  const qemu = new FakeQemu(theirs, {});
  const modes = new CopyModes({ qmp: await QmpClient.open(ours), log: silentLogger, mirrors: [] });
  assertEquals(modes.isBlocking, false);
  modes.adopt();
  assertEquals(modes.isBlocking, true);
  qemu.close();
});

Deno.test("the wait of a write is the mean since the last measurement", async () => {
  let stats = { wr_operations: 100, wr_total_time_ns: 5e9 };
  const [ours, theirs] = memoryPipe();
  const qemu = new FakeQemu(theirs, {
    "query-blockstats": () => ({ return: [{ device: "", qdev: "vd0", stats }] }),
  });
  const qmp = await QmpClient.open(ours);
  const modes = new CopyModes({
    ...{ qmp, log: silentLogger, mirrors: [MIRROR], copyMode: "write-blocking" },
  });
  modes.begin("job");
  await modes.measure();
  assertEquals(modes.of(MIRROR), { copyMode: "write-blocking" });
  stats = { wr_operations: 110, wr_total_time_ns: 5.4e9 };
  await modes.measure();
  assertEquals(modes.of(MIRROR), { copyMode: "write-blocking", writeMs: 40 });
  await modes.measure();
  assertEquals(modes.of(MIRROR), { copyMode: "write-blocking" }, "no write since then");
  qemu.close();
});

Deno.test("the writes of a guest that wait for nothing are not measured", async () => {
  const [ours, theirs] = memoryPipe();
  const qemu = new FakeQemu(theirs, { "query-blockstats": () => ({ return: [] }) });
  const qmp = await QmpClient.open(ours);
  const modes = new CopyModes({ qmp, log: silentLogger, mirrors: [MIRROR] });
  modes.begin("job");
  await modes.measure();
  const asked = qemu.received.filter(({ command }) => command === "query-blockstats");
  assertEquals([asked, modes.of(MIRROR)], [[], {}]);
  qemu.close();
});
