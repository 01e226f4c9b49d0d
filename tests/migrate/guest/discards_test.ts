import { assertEquals } from "@std/assert";
import { resultEvent } from "../../../src/cli/output/result.ts";
import { DiscardWatch } from "../../../src/migrate/guest/discards.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

Deno.test("only disks with discards during the mirror are named", async () => {
  const [ours, theirs] = memoryPipe();
  const counts = { vd0: 3, vd1: 0, cd0: 0 };
  new FakeQemu(theirs, {
    "query-blockstats": () => ({
      return: Object.entries(counts).map(([id, operations]) => ({
        ...{ device: "", qdev: `/machine/peripheral/${id}/virtio-backend` },
        stats: { unmap_operations: operations },
      })),
    }),
  });
  await using qmp = await QmpClient.open(ours);
  const watch = new DiscardWatch(qmp, ["vd0", "vd1"]);
  assertEquals(await watch.dropped(), []);
  counts.vd1 += 2;
  counts.cd0 += 1;
  assertEquals(await watch.dropped(), ["vd1"]);
});

Deno.test("a QEMU that does not count discards causes no note", async () => {
  const [ours, theirs] = memoryPipe();
  new FakeQemu(theirs);
  await using qmp = await QmpClient.open(ours);
  assertEquals(await new DiscardWatch(qmp, ["vd0"]).dropped(), []);
});

Deno.test("only after dropped discards does the result advise to trim the guest's file systems", () => {
  const next = (discarded: readonly string[]) => {
    const event = resultEvent({ startedAt: 0, bytes: 0, guest: "running", discarded });
    return event.event === "result" ? event.next : [];
  };
  assertEquals(next([]), []);
  assertEquals(next(["vd0", "vd1"]).map((step) => /fstrim.*\(vd0, vd1\)/.test(step)), [true]);
});
