import { multifdBytes, settingsBefore } from "../pair/multifd.ts";
import { Pair } from "../pair/pair.ts";
import { BUSY, whileInRam } from "../support/failing.ts";
import { Network } from "../support/network.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const CUT_MS = 2_000;

interface Progress {
  readonly ram?: unknown;
}

/** Bytes of RAM so far. */
function sent({ ram }: Progress): number {
  return (ram as { transferred: number } | null)?.transferred ?? 0;
}

/** A cable that is pulled while RAM crosses in several streams. */
export const scenario: Scenario = {
  name: "multifd_cut",
  about: "a cut of 2 s while RAM crosses in five streams is bridged, and no write is lost",
  timeoutMs: 300_000,
  async run(context) {
    const network = context.use(await Network.create());
    const pair = await Pair.start(context, { network, gated: true, guest: BUSY, bytes: 16 << 20 });
    const asBefore = await settingsBefore(pair);
    const { receive, migrate } = await whileInRam(pair, "4M", ["--multifd", "4"]);
    await network.cut();
    await new Promise((resolve) => setTimeout(resolve, CUT_MS));
    await network.restore();
    // RAM crosses again, in the same connection or in a new one.
    const { ram } = migrate.events.entries.findLast((e) => e.event === "progress") as Progress;
    await migrate.waitEvent("progress", (e) => sent(e as Progress) > sent({ ram }));
    await pair.set("bandwidth=none", "max-downtime=300");
    await assertExit(migrate, 0, 120_000);
    await assertExit(receive, 0);
    const bytes = await multifdBytes(pair.source);
    await asBefore();
    await pair.assertArrived();
    return `${bytes >> 20} MiB in five streams`;
  },
};
