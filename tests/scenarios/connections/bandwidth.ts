import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const LIMIT_MIB = 40;
/** Size of both disks together, bytes. */
const DISKS_MIB = 128;

/** One limit for disks and RAM together. */
export const scenario: Scenario = {
  name: "bandwidth",
  about: "--bandwidth limits disks and RAM together, and the whole bandwidth is used",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context);
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), ["--bandwidth", `${LIMIT_MIB}M`]);
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    const { bytes, totalMs } = await migrate.waitEvent("result");
    const rate = Number(bytes) / MiB / (Number(totalMs) / 1000);
    if (rate > LIMIT_MIB * 1.05) throw new Error(`It took ${rate} MiB/s of ${LIMIT_MIB}`);
    // While disks are copied there is always something to send; before and after there is not.
    const begins = async (phase: string) =>
      Date.parse((await migrate.waitEvent("phase", (e) => e.phase === phase)).time);
    const copyMs = await begins("ram") - await begins("mirror");
    const used = DISKS_MIB / (copyMs / 1000);
    if (used < LIMIT_MIB * 0.7) throw new Error(`It used only ${used} MiB/s of ${LIMIT_MIB}`);
    await pair.assertArrived();
    return `${used.toFixed(1)} MiB/s of ${LIMIT_MIB}`;
  },
};
