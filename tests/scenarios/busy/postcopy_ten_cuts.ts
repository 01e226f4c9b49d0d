import { delay, systemClock } from "../../../src/io/mod.ts";
import type { Scenario } from "../support/scenario.ts";
import { busy, BusyPair } from "./lab/busy_pair.ts";

const CUTS = 10;
const CUT_MS = 2000;
const BETWEEN_MS = 500;

/** Cables that are pulled again and again while RAM follows its guest. */
export const scenario: Scenario = {
  name: "postcopy_ten_cuts",
  about:
    "after ten cuts of 2 s in post-copy the guest is whole at the destination, and runs nowhere else",
  timeoutMs: 400_000,
  ramInPasses: true,
  long: true,
  async run(context) {
    const sector = busy({ mibPerSecond: 100, mib: 384 });
    const pair = await BusyPair.start(context, { name: "cuts", sector, mbit: 1000 });
    await pair.running(1);
    const ferries = await pair.migrate("--postcopy-after", "1", "--bandwidth", "24M");
    await ferries.migrate.waitEvent("phase", (e) => e.phase === "postcopy", 120_000);
    let cuts = 0;
    while (cuts < CUTS) {
      const status = await pair.source.execute<{ status?: string }>("query-migrate");
      if (status.status === "completed") throw new Error(`All RAM had crossed after ${cuts} cuts`);
      await pair.cut(CUT_MS);
      cuts++;
      await delay(systemClock, BETWEEN_MS);
    }
    await pair.arrived(ferries, 200_000);
    await pair.assertWhole();
    const resumed = pair.source.events.entries.some((e) => e.event === "RESUME");
    if (resumed) throw new Error("The guest ran at the source again");
    const reconnects = ferries.migrate.events.entries
      .filter((e) => e.event === "link" && e.state === "up").length;
    await pair.end();
    return `${cuts} cuts, ${reconnects} reconnects`;
  },
};
