import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** How long the connection is cut at the start of each phase, ms. */
const CUTS = { prepare: 1000, mirror: 1000, ram: 5000, switchover: 1000, handover: 1000 };

/** A cable that is pulled at the start of each phase. */
export const scenario: Scenario = {
  name: "link_cuts",
  about:
    "no write is lost when the connection is cut at the start of each phase, and for 8 s in the copy",
  timeoutMs: 240_000,
  async run(context) {
    const network = context.use(await Network.create());
    const pair = await Pair.start(context, { network });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), [
      "--bandwidth",
      "30M",
      "--dead-after",
      "2",
    ]);
    const cut = async (ms: number) => {
      await network.cut();
      await new Promise((resolve) => setTimeout(resolve, ms));
      await network.restore();
    };
    for (const [phase, ms] of Object.entries(CUTS)) {
      // The destination is the first to know that there is a session to cut in that phase.
      const first = phase === "prepare" ? receive : migrate;
      await first.waitEvent("phase", (e) => e.phase === phase, 120_000);
      context.note(`cut in ${phase}`);
      await cut(ms);
      if (phase !== "mirror") continue;
      // Long enough for both sides to detect the loss and to fail at new connections.
      await migrate.waitEvent("progress", (e) => moved(e) > 16 << 20);
      context.note("a long cut");
      await cut(8_000);
    }
    await assertExit(migrate, 0, 120_000);
    await assertExit(receive, 0);
    const downs = migrate.events.entries.filter((e) => e.event === "link" && e.state === "up");
    const { totalMs } = await migrate.waitEvent("result");
    await pair.assertArrived();
    return `${downs.length} reconnects, total ${totalMs} ms`;
  },
};

function moved(event: { readonly [member: string]: unknown }): number {
  return (event.disks as { transferred: number }[]).reduce((sum, d) => sum + d.transferred, 0);
}
