import { FOLLOWING, startFollowing, untilFollows } from "../pair/postcopy.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** Longest time in which both sides know it, ms: much less than the grace of 60 s. */
const KNOWN_MS = 20_000;

/** The source's QEMU ends, and with it RAM that is nowhere else. */
export const scenario: Scenario = {
  name: "postcopy_source_ends",
  about:
    "when the source's QEMU ends in post-copy, both sides report it at once and wait no longer",
  timeoutMs: 120_000,
  ramInPasses: true,
  async run(context) {
    const pair = await startFollowing(context);
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), FOLLOWING);
    await untilFollows(migrate);
    const before = Date.now();
    await pair.source.crash();
    for (const ferry of [migrate, receive]) {
      await assertExit(ferry, 4, KNOWN_MS);
      const { error } = await ferry.waitEvent("result");
      const { code, side } = error as { code: string; side: string };
      if (code !== "postcopy-lost" || side !== "source") {
        throw new Error(`${ferry.name}: got ${code} of the ${side}`);
      }
    }
    return `known after ${Date.now() - before} ms`;
  },
};
