import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** The grace, and the silence after which a connection is dead, s. */
const [GRACE, DEAD_AFTER] = [8, 3];
/** A side that renewed its grace with each connection would not have ended by then, s. */
const MOST_MS = 30_000;

/** A path that passes handshakes and pings, and drops packets with data. */
export const scenario: Scenario = {
  name: "mtu",
  about: "on a path that drops large packets both sides end within the grace, and name the MTU",
  timeoutMs: 120_000,
  async run(context) {
    const network = context.use(await Network.create());
    await network.jumbo();
    const pair = await Pair.start(context, { network });
    const options = ["--grace", String(GRACE), "--dead-after", String(DEAD_AFTER)];
    const receive = pair.receive(options);
    const migrate = pair.migrate(await receive.address(), [...options, "--bandwidth", "8M"]);
    // Both sides know this migration from here on.
    await migrate.waitEvent("phase", (e) => e.phase === "mirror");
    await network.dropLarge();
    await migrate.waitEvent("link", (e) => e.state === "down", MOST_MS);
    const since = performance.now();
    await assertExit(migrate, 1, MOST_MS);
    const took = performance.now() - since;
    await assertExit(receive, 1, MOST_MS);
    const most = (GRACE + 4 * DEAD_AFTER) * 1000;
    if (took > most) throw new Error(`The source ended after ${took} ms, expected ${most} at most`);
    for (const ferry of [migrate, receive]) {
      const { error } = await ferry.waitEvent("result") as unknown as {
        error: { message: string };
      };
      if (!/\bMTU\b/.test(error.message)) throw new Error(`${ferry.name}: ${error.message}`);
    }
    await migrate.waitEvent("warning", (e) => e.code === "small-packets-only");
    await pair.assertStillAtSource();

    await network.passLarge();
    const again = pair.receive();
    const last = pair.migrate(await again.address());
    await assertExit(last, 0);
    await assertExit(again, 0);
    await pair.assertArrived();
    return `ended ${Math.round(took)} ms after the first loss`;
  },
};
