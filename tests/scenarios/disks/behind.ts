import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const DISKS = [{ from: "qcow2", to: "qcow2" }, { from: "raw", to: "raw" }] as const;
const SNAPSHOTS = "disk vd0: internal snapshots before-the-upgrade stay behind";
const BITMAPS = "disk vd0: dirty bitmaps tuesday, monday stay behind";

/** A mirror copies only a disk's present content. */
export const scenario: Scenario = {
  name: "behind",
  about: "check and migrate warn that a disk's internal snapshots and dirty bitmaps stay behind",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, { bytes: 16 << 20, disks: DISKS });
    const { source } = pair;
    const snapshot = "before-the-upgrade";
    await source.execute("blockdev-snapshot-internal-sync", {
      device: "source-vd0",
      name: snapshot,
    });
    const node = "source-vd0";
    await source.execute("block-dirty-bitmap-add", { node, name: "monday", persistent: true });
    // Backup tools have bitmaps that live as long as QEMU, too.
    await source.execute("block-dirty-bitmap-add", { node, name: "tuesday" });

    const check = context.vmferry({
      name: "check",
      args: ["check", "--json", "--qmp", source.qmpSocket],
    });
    await assertExit(check, 0);
    const { warnings } = await check.waitEvent("check");
    assertTold(warnings as string[], "check");

    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address());
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    const told = migrate.events.entries.filter((e) => e.code === "stays-behind");
    assertTold(told.map((e) => String(e.message)), "migrate");
    await pair.assertArrived();
  },
};

function assertTold(lines: readonly string[], who: string): void {
  for (const line of [SNAPSHOTS, BITMAPS]) {
    if (!lines.includes(line)) throw new Error(`${who} said ${lines.join("; ")}, expected ${line}`);
  }
}
