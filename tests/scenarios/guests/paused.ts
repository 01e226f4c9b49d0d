import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** A guest that was paused before the migration is paused after it. */
export const scenario: Scenario = {
  name: "paused",
  about: "a paused guest arrives paused, and continues where it was when it is resumed",
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
