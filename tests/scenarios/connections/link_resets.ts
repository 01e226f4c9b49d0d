import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const RESETS = 50;

/** A firewall that forgets its connections, and packets that vanish one way only. */
export const scenario: Scenario = {
  name: "link_resets",
  about: "50 resets and one-way packet loss only delay a migration, and no write is lost",
  timeoutMs: 240_000,
  async run(context) {
    const network = context.use(await Network.create());
    const pair = await Pair.start(context, { network });
    const receive = pair.receive();
    // The disks would take two minutes: all resets come while they are copied.
    const options = ["--bandwidth", "1M", "--dead-after", "2"];
    const migrate = pair.migrate(await receive.address(), options);
    const seen = (state: string) =>
      migrate.events.entries.filter((e) => e.event === "link" && e.state === state).length;
    const next = async (state: string, before: number) => {
      await migrate.events.waitFor(
        `the connection to be ${state}`,
        () => seen(state) > before,
        20_000,
      );
    };
    await migrate.waitEvent("phase", (e) => e.phase === "mirror");
    for (const from of [network.source, network.destination]) {
      context.note(`what ${from.name} sends vanishes`);
      const [ups, downs] = [seen("up"), seen("down")];
      await network.lose(from);
      await next("down", downs);
      await network.find(from);
      await next("up", ups);
    }
    for (let i = 1; i <= RESETS; i++) {
      context.note(`reset ${i}`);
      const ups = seen("up");
      await network.reset();
      await next("up", ups);
    }
    const { phase } = migrate.events.entries.findLast((e) => e.event === "phase")!;
    if (phase !== "mirror") throw new Error(`The copy was over too early (${phase})`);
    await pair.set("bandwidth=none");
    await assertExit(migrate, 0, 120_000);
    await assertExit(receive, 0);
    await pair.assertArrived();
    return `${seen("up")} reconnects`;
  },
};
