import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";

/** How long the undo may take in all, ms: docs/operations.md. */
const MOST_MS = 100_000;

/** QEMUs that do not answer while a migration is undone, as with storage that hangs. */
export const scenario: Scenario = {
  name: "undo_late",
  about: "undo steps that fail are reported and recorded, and the next try finishes them first",
  timeoutMs: 240_000,
  long: true,
  async run(context) {
    const pair = await Pair.start(context, { gated: true });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), ["--bandwidth", "10M"]);
    const moving = (disks: { transferred: number }[]) => disks.some((d) => d.transferred > 0);
    await migrate.waitEvent("progress", (e) => moving(e.disks as { transferred: number }[]));
    pair.gates.source.hold("block-job-cancel");
    pair.gates.destination.hold("block-export-del");
    const since = performance.now();
    migrate.signal("SIGINT");
    await assertExit(migrate, 5, MOST_MS);
    await assertExit(receive, 5, MOST_MS);
    const took = Math.round(performance.now() - since);
    await assertNames(migrate, /Not undone at the source: the mirror jobs/);
    await assertNames(migrate, /Not undone at the destination: the NBD server and its exports/);
    await receive.waitEvent("warning", (e) => e.code === "not-undone");
    if ((await pair.source.execute<unknown[]>("query-jobs")).length === 0) {
      throw new Error("No job is left at the source, the gate kept nothing back");
    }

    context.note("recover lists the remaining steps, and does nothing without --yes");
    for (const side of ["source", "dest"] as const) {
      const recover = pair.recover(side);
      await assertExit(recover, 0, 20_000);
      const { next } = await recover.waitEvent("recover") as unknown as { next: string[] };
      if (!next.some((n) => n.startsWith("left of it: "))) throw new Error(`${side}: ${next}`);
    }

    context.note("the next try finishes them");
    const again = pair.receive();
    const last = pair.migrate(await again.address());
    await assertExit(last, 0);
    await assertExit(again, 0);
    await pair.assertArrived();
    return `undone, but for what did not answer, in ${took} ms`;
  },
};

async function assertNames(ferry: Vmferry, expected: RegExp): Promise<void> {
  const { error } = await ferry.waitEvent("result") as unknown as { error: { message: string } };
  if (!expected.test(error.message)) {
    throw new Error(`${ferry.name} said "${error.message}", expected ${expected}`);
  }
}
