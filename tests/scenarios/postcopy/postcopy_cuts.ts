import { delay, systemClock } from "../../../src/io/mod.ts";
import { followingAt, startFollowing, untilFollows } from "../pair/postcopy.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { Network } from "../support/network.ts";

/** How long the connection is cut, one after the other, ms. */
const CUTS_MS = [1000, 5000, 20_000];
const BETWEEN_MS = 1000;

/** Cables that are pulled while the rest of RAM crosses. */
export const scenario: Scenario = {
  name: "postcopy_cuts",
  about: "no write is lost when the connection is cut for 1, 5 and 20 s in post-copy",
  timeoutMs: 240_000,
  ramInPasses: true,
  long: true,
  async run(context) {
    const network = context.use(await Network.create());
    const pair = await startFollowing(context, { network });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), followingAt("8M"));
    await untilFollows(migrate);
    for (const ms of CUTS_MS) {
      context.note(`cut for ${ms} ms`);
      await network.cut();
      await delay(systemClock, ms);
      await network.restore();
      await delay(systemClock, BETWEEN_MS);
    }
    await assertExit(migrate, 0);
    await assertExit(receive, 0, 20_000);
    const ups = migrate.events.entries.filter((e) => e.event === "link" && e.state === "up");
    await pair.assertArrived();
    return `${ups.length} reconnects`;
  },
};
