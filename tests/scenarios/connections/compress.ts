import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const MBIT = 100;
const DISKS = 2;
const DISK_BYTES = 32 * MiB;
/** Less than the disks alone take uncompressed. */
const MOST_MS = 0.8 * DISKS * DISK_BYTES * 8 / (MBIT * 1000);

/** Disks that shrink, over a slow connection that is reset again and again. */
export const scenario: Scenario = {
  name: "compress",
  about: "compressed disks arrive whole and sooner although the connection is reset meanwhile",
  timeoutMs: 120_000,
  async run(context) {
    const network = context.use(await Network.create());
    await network.limit(MBIT);
    const pair = await Pair.start(context, {
      network,
      bytes: DISK_BYTES,
      disks: [{ from: "raw", to: "raw", shrinks: true }, {
        from: "qcow2",
        to: "qcow2",
        shrinks: true,
      }],
    });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), ["--compress", "on"]);
    const begins = async (phase: string) =>
      Date.parse((await migrate.waitEvent("phase", (e) => e.phase === phase, 60_000)).time);
    const began = await begins("mirror");
    for (const share of [0.2, 0.5]) {
      await migrate.waitEvent("progress", (e) => moved(e) > share * DISKS * DISK_BYTES, 30_000);
      await network.reset();
    }
    const copyMs = await begins("ram") - began;
    await network.reset();
    await assertExit(migrate, 0, 60_000);
    await assertExit(receive, 0, 60_000);
    await pair.assertArrived();
    const lost = migrate.events.entries.filter((e) => e.event === "link" && e.state === "down");
    const { compression } = await migrate.waitEvent("result");
    if (lost.length === 0) throw new Error("No connection was lost");
    if (typeof compression !== "number" || compression > 0.6) {
      throw new Error(`It was compressed to ${compression} of its size`);
    }
    if (copyMs > MOST_MS) throw new Error(`The copy took ${copyMs} ms, expected ${MOST_MS}`);
    return `compressed to ${compression}, ${lost.length} connections lost, copy ${copyMs} ms`;
  },
};

function moved(event: { readonly [member: string]: unknown }): number {
  return (event.disks as { transferred: number }[]).reduce((sum, d) => sum + d.transferred, 0);
}
