import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const MBIT = 100;
const DISKS = 2;
const DISK_BYTES = 32 * MiB;
/** What the source may send while the disks are copied: less than they hold, repeats included. */
const MOST_BYTES = 0.8 * DISKS * DISK_BYTES;

/** Disks that shrink, over a slow connection that is reset again and again. */
export const scenario: Scenario = {
  name: "compress",
  about:
    "compressed disks arrive whole and take fewer bytes, although the connection is reset meanwhile",
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
    const sentAt = async (phase: string) => {
      await migrate.waitEvent("phase", (e) => e.phase === phase);
      return await network.sentBytes(network.source);
    };
    const before = await sentAt("mirror");
    for (const share of [0.2, 0.5]) {
      await migrate.waitEvent("progress", (e) => moved(e) > share * DISKS * DISK_BYTES, 30_000);
      await network.reset();
    }
    const sent = await sentAt("ram") - before;
    await network.reset();
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    await pair.assertArrived();
    const lost = migrate.events.entries.filter((e) => e.event === "link" && e.state === "down");
    const { compression } = await migrate.waitEvent("result");
    if (lost.length === 0) throw new Error("No connection was lost");
    if (typeof compression !== "number" || compression > 0.6) {
      throw new Error(`It was compressed to ${compression} of its size`);
    }
    if (sent > MOST_BYTES) throw new Error(`The copy took ${sent} bytes, expected ${MOST_BYTES}`);
    return `compressed to ${compression}, ${lost.length} connections lost, ${sent >> 20} MiB sent`;
  },
};

function moved(event: { readonly [member: string]: unknown }): number {
  return (event.disks as { transferred: number }[]).reduce((sum, d) => sum + d.transferred, 0);
}
