import { FOLLOWING, startFollowing, untilFollows } from "../pair/postcopy.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { Network } from "../support/network.ts";

const SHORT = ["--grace", "4", "--dead-after", "2"];

/** A cable that is pulled for longer than either end waits. */
export const scenario: Scenario = {
  name: "postcopy_away",
  about: "after a connection lost for good in post-copy both ends say so, and --resume ends it",
  timeoutMs: 240_000,
  ramInPasses: true,
  long: true,
  async run(context) {
    const network = context.use(await Network.create());
    const pair = await startFollowing(context, { network });
    const first = pair.receive(SHORT);
    const address = await first.address();
    const cutOff = pair.migrate(address, [...FOLLOWING, ...SHORT]);
    await untilFollows(cutOff);
    await network.cut();
    for (const ferry of [cutOff, first]) {
      await assertExit(ferry, 4);
      const { error } = await ferry.waitEvent("result");
      const { code } = error as { code: string };
      if (code !== "postcopy-paused") throw new Error(`${ferry.name}: got ${code}`);
    }
    await network.restore();
    const receive = pair.receive(["--resume"]);
    const migrate = pair.migrate(await receive.address(), ["--resume", ...FOLLOWING]);
    await assertExit(migrate, 0);
    await assertExit(receive, 0, 20_000);
    await pair.assertArrived();
  },
};
