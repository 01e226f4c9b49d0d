import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** What stood still before stands still afterwards. */
export const scenario: Scenario = {
  name: "paused",
  about: "a guest that was paused arrives paused, and goes on where it stood",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, { paused: true });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), ["--quit-source"]);
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    for (const ferry of [migrate, receive]) {
      const { guest, next } = await ferry.waitEvent("result");
      if (guest !== "paused" || !/'cont'.*'announce-self'/.test(String(next))) {
        throw new Error(`${ferry.name} says that the guest is ${guest}, next: ${next}`);
      }
    }
    await pair.source.exited;
    await pair.assertArrived();
  },
};
