import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import type { JsonEvent } from "../support/vmferry.ts";

/** Far less than a busy machine copies. */
const LIMIT_MIB = 6;
const DISK_BYTES = 12 * MiB;

/** One limit for disks and RAM together. */
export const scenario: Scenario = {
  name: "bandwidth",
  about: "--bandwidth limits disks and RAM together, and the whole bandwidth is used",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, { bytes: DISK_BYTES });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), ["--bandwidth", `${LIMIT_MIB}M`]);
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    const { bytes, totalMs } = await migrate.waitEvent("result");
    const rate = Number(bytes) / MiB / (Number(totalMs) / 1000);
    if (rate > LIMIT_MIB * 1.05) throw new Error(`It took ${rate} MiB/s of ${LIMIT_MIB}`);
    const used = bestRate(migrate.events.entries) / MiB;
    if (used < LIMIT_MIB * 0.7) throw new Error(`It used only ${used} MiB/s of ${LIMIT_MIB}`);
    await pair.assertArrived();
    return `${used.toFixed(1)} MiB/s of ${LIMIT_MIB}`;
  },
};

/** The best rate of the disks over a second or more, bytes/s: a busy machine is slow now and then. */
function bestRate(events: readonly JsonEvent[]): number {
  const points = events.filter((e) => e.event === "progress" && e.phase === "mirror").map((e) => ({
    ms: Date.parse(e.time),
    bytes: (e.disks as { transferred: number }[]).reduce((sum, d) => sum + d.transferred, 0),
  }));
  const rates = points.flatMap((to, i) =>
    points.slice(0, i).filter(({ ms }) => to.ms - ms >= 1000)
      .map((from) => (to.bytes - from.bytes) / (to.ms - from.ms) * 1000)
  );
  return Math.max(0, ...rates);
}
