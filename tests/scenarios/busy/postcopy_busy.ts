import type { Scenario } from "../support/scenario.ts";
import { busy, BusyPair } from "./lab/busy_pair.ts";

const MBIT = 1000;
const USED = 384;
/** What the guest changes, MiB per second: almost three times what crosses. */
const CHANGED = 300;
/** How much longer than an idle guest it may take. */
const MOST = 1.4;
/** Longest pause of the guest, ms. */
const PAUSE_MS = 300;

/** A guest that is too busy to converge arrives before its RAM. */
export const scenario: Scenario = {
  name: "postcopy_busy",
  about:
    "with --postcopy a guest that changes 300 MiB/s over 1 Gbit/s takes little longer than an idle one",
  timeoutMs: 400_000,
  ramInPasses: true,
  long: true,
  async run(context) {
    const times: number[] = [];
    let figures = "";
    for (const mibPerSecond of [0.5, CHANGED]) {
      context.note(`a guest that changes ${mibPerSecond} MiB/s`);
      const isBusy = mibPerSecond === CHANGED;
      const sector = busy({ mibPerSecond, mib: USED });
      const name = `at${Math.ceil(mibPerSecond)}`;
      const pair = await BusyPair.start(context, { name, sector, mbit: MBIT });
      await pair.running(isBusy ? 1 : 0);
      const ferries = await pair.migrate(...isBusy ? ["--postcopy"] : []);
      const { totalMs, pauseMs } = await pair.arrived(ferries, 200_000);
      times.push(Number(totalMs));
      if (isBusy) {
        await ferries.migrate.waitEvent("phase", (e) => e.phase === "postcopy");
        await pair.assertWhole();
        figures = `pause ${pauseMs} ms`;
        if (Number(pauseMs) > PAUSE_MS) throw new Error(`${figures}, expected ${PAUSE_MS} at most`);
      }
      await pair.end();
    }
    const [idle, changing] = times as [number, number];
    const seconds = (ms: number) => (ms / 1000).toFixed(1);
    const took = `${seconds(idle)} s idle, ${seconds(changing)} s busy, ${figures}`;
    if (changing > MOST * idle) throw new Error(`${took}, expected ${MOST} times at most`);
    return took;
  },
};
