import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** A cable that stays pulled. */
export const scenario: Scenario = {
  name: "link_lost",
  about: "both sides end when the connection stays lost, and the guest keeps running at the source",
  timeoutMs: 180_000,
  async run(context) {
    const network = context.use(await Network.create());
    const pair = await Pair.start(context, { network });
    const options = ["--grace", "3", "--dead-after", "2"];
    const receive = pair.receive(options);
    const migrate = pair.migrate(await receive.address(), [...options, "--bandwidth", "10M"]);
    await migrate.waitEvent("progress", (e) => e.phase === "mirror");
    await network.cut();
    await migrate.waitEvent("link", (e) => e.state === "down" && Number(e.graceLeft) < 3);
    await assertExit(migrate, 1, 20_000);
    await assertExit(receive, 1, 20_000);
    for (const ferry of [migrate, receive]) {
      const { error } = await ferry.waitEvent("result") as unknown as {
        error: { message: string };
      };
      if (!/did not come back within 3 s/.test(error.message)) throw new Error(error.message);
    }
    await pair.assertStillAtSource();

    await network.restore();
    const again = pair.receive();
    const last = pair.migrate(await again.address());
    await assertExit(last, 0);
    await assertExit(again, 0);
    await pair.assertArrived();
  },
};
