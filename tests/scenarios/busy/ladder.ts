import type { Scenario } from "../support/scenario.ts";
import { busy, BusyPair, largestThrottle } from "./lab/busy_pair.ts";

const MBIT = 1000;
const USED = 384;
/** What the guest changes, MiB per second: almost three times what crosses. */
const CHANGED = 300;
/** What a busy guest may take beyond twice the time of an idle one, ms. */
const BEYOND_MS = 30_000;

/** Without options a guest that changes its RAM faster than RAM crosses is throttled, and arrives. */
export const scenario: Scenario = {
  name: "ladder",
  about: "a guest that changes 300 MiB/s over 1 Gbit/s arrives without options, by a throttle",
  timeoutMs: 400_000,
  long: true,
  async run(context) {
    const times: number[] = [];
    let figures = "";
    for (const mibPerSecond of [0.5, CHANGED]) {
      context.note(`a guest that changes ${mibPerSecond} MiB/s`);
      const sector = busy({ mibPerSecond, mib: USED });
      const pair = await BusyPair.start(context, {
        ...{ name: `at${Math.ceil(mibPerSecond)}`, sector, mbit: MBIT },
      });
      const isBusy = mibPerSecond === CHANGED;
      await pair.running(isBusy ? 1 : 0);
      const ferries = await pair.migrate();
      const { totalMs, downtimeMs } = await pair.arrived(ferries, 200_000);
      times.push(Number(totalMs));
      const steps = ferries.migrate.events.entries.filter((e) => e.event === "ladder");
      const throttle = largestThrottle(ferries.migrate.events.entries);
      if (isBusy) {
        await pair.assertWhole();
        if (steps.length !== 1) {
          throw new Error(`Got ${steps.length} steps, expected 1, reported once`);
        }
        const { step, changed, rate } = steps[0]!;
        if (step !== "auto-converge" || !(Number(changed) > Number(rate))) {
          throw new Error(`Got the step ${JSON.stringify(steps[0])}`);
        }
        figures = `throttled by ${throttle} %, downtime ${downtimeMs} ms`;
      } else if (steps.length > 0 || throttle > 1) {
        throw new Error(`An idle guest was throttled by ${throttle} %`);
      }
      await pair.end();
    }
    const [idle, changing] = times as [number, number];
    const most = 2 * idle + BEYOND_MS;
    const took = `${(idle / 1000).toFixed(1)} s idle, ${
      (changing / 1000).toFixed(1)
    } s busy, ${figures}`;
    if (changing > most) throw new Error(`${took}, expected at most ${most / 1000} s`);
    return took;
  },
};
