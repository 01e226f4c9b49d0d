import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import type { JsonEvent } from "../support/vmferry.ts";
import { delay, systemClock } from "../../../src/io/mod.ts";

/** How long the disk's connection is missing, ms. RAM would have crossed long before. */
const AWAY_MS = 8000;

/** Pages that the guest fills: at 8 MiB/s they cross in 4 s, so that the loss comes before their end. */
const RAM_PAGES = 8192;

/** One connection carries RAM, another one the disk. The disk's is lost while RAM crosses. */
export const scenario: Scenario = {
  name: "lane_waits",
  about:
    "a guest is not paused while a disk's connection is missing, though RAM could cross over another one",
  timeoutMs: 200_000,
  // Sent in a single pass, RAM crosses with the guest paused.
  ramInPasses: true,
  async run(context) {
    const network = context.use(await Network.create());
    const pair = await Pair.start(context, {
      network,
      disks: [{ from: "raw", to: "raw" }],
      guest: { ramPages: RAM_PAGES, ramStep: 64 },
    });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), [
      ...["--connections", "2", "--bandwidth", "8M"],
    ]);
    await migrate.waitEvent("phase", (e) => e.phase === "mirror");
    await migrate.waitEvent("progress", copies);
    const port = await network.busiestPort();
    await migrate.waitEvent("phase", (e) => e.phase === "ram", 120_000);
    await network.refuseNew();
    await network.resetOne(port);
    await migrate.waitEvent("link", (e) => e.state === "down");
    await delay(systemClock, AWAY_MS);
    await network.acceptNew();
    await pair.set("bandwidth=none");
    await assertExit(migrate, 0, 60_000);
    await assertExit(receive, 0, 60_000);
    await pair.assertArrived();
    const { pauseMs } = await migrate.waitEvent("result");
    // QEMU waits for a disk's writes as soon as it pauses the guest, and answers nothing meanwhile.
    if (Number(pauseMs) > AWAY_MS / 2) throw new Error(`The guest was paused for ${pauseMs} ms`);
    return `pause ${Math.round(Number(pauseMs))} ms`;
  },
};

function copies({ disks }: JsonEvent): boolean {
  return (disks as { transferred: number }[]).some(({ transferred }) => transferred > 0);
}
