import { FOLLOWING, startFollowing, untilFollows } from "../pair/postcopy.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** RAM that follows its guest. */
export const scenario: Scenario = {
  name: "postcopy_ram",
  about: "no write is lost when the guest runs at the destination before all of its RAM is there",
  timeoutMs: 120_000,
  ramInPasses: true,
  async run(context) {
    const pair = await startFollowing(context);
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), FOLLOWING);
    await untilFollows(migrate);
    await assertExit(migrate, 0);
    await assertExit(receive, 0, 20_000);
    const pause = await pair.pauseMs();
    await pair.assertArrived();
    return `pause ${pause.toFixed(0)} ms`;
  },
};
