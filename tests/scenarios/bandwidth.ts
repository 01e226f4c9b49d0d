import { Pair } from "./support/pair.ts";
import { assertExit, type Scenario } from "./support/scenario.ts";

const LIMIT_MIB = 40;

/** One limit for disks and memory together. */
export const scenario: Scenario = {
  name: "bandwidth",
  about: "--bandwidth holds disks and memory together, and what it leaves is used",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context);
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), ["--bandwidth", `${LIMIT_MIB}M`]);
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    const { bytes, totalMs } = await migrate.waitEvent("result");
    const rate = Number(bytes) / (1 << 20) / (Number(totalMs) / 1000);
    if (rate > LIMIT_MIB * 1.05) throw new Error(`It took ${rate} MiB/s of ${LIMIT_MIB}`);
    if (rate < LIMIT_MIB * 0.7) throw new Error(`It used only ${rate} MiB/s of ${LIMIT_MIB}`);
    await pair.assertArrived();
    return `${rate.toFixed(1)} MiB/s of ${LIMIT_MIB}`;
  },
};
