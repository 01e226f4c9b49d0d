import { followingAt, startFollowing, untilFollows } from "../pair/postcopy.ts";
import type { Pair } from "../pair/pair.ts";
import { Network } from "../support/network.ts";
import {
  assertExit,
  assertFails,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";
import type { JsonEvent, Vmferry } from "../support/vmferry.ts";
import { poll } from "../support/waiting.ts";

const ENDS = ["--grace", "5"];

/** A migration whose RAM follows its guest over two connections. */
interface Following {
  readonly network: Network;
  readonly pair: Pair;
  readonly receive: Vmferry;
  readonly migrate: Vmferry;
}

/** One of two connections is lost while the rest of RAM crosses: the one of RAM, and the second one. */
export const scenario: Scenario = {
  name: "postcopy_lanes",
  about:
    "no write is lost when one of two connections is lost in post-copy, for a moment or for good",
  timeoutMs: 240_000,
  ramInPasses: true,
  slow: true,
  async run(context) {
    await secondLost(context);
    await ramLost(context);
  },
};

/** Each is lost for a moment, and then the second one for longer than the grace: a new session takes over. */
async function secondLost(context: ScenarioContext): Promise<void> {
  const following = await begin(context, "second");
  const { network, pair, receive, migrate } = following;
  const isUp = (e: JsonEvent) => e.event === "link" && e.state === "up";
  const ups = () => migrate.events.entries.filter(isUp).length;
  for (const which of ["ram", "second"] as const) {
    context.note(`${which} for a moment`);
    const before = ups();
    await network.resetOne(await portOf(following, which));
    await migrate.events.waitFor("the connection to be back", () => ups() > before);
  }
  context.note("second for good");
  const second = await portOf(following, "second");
  await network.refuseNew();
  await network.resetOne(second);
  await poll("the session to end", async () => {
    return (await network.ports()).length === 0 || undefined;
  }, 60_000);
  await network.acceptNew();
  await assertExit(migrate, 0, 120_000);
  await assertExit(receive, 0, 30_000);
  await pair.assertArrived();
}

/** RAM's connection is lost for longer than the grace: both ends give up, and --resume goes on. */
async function ramLost(context: ScenarioContext): Promise<void> {
  const following = await begin(context, "ram");
  const { network, pair, receive, migrate } = following;
  context.note("ram for good");
  const ram = await portOf(following, "ram");
  await network.refuseNew();
  await network.resetOne(ram);
  await assertFails(migrate, 4, /^postcopy-paused: .*The connection was lost/);
  await assertFails(receive, 4, /^postcopy-paused: /);
  await network.acceptNew();
  const again = pair.receive(["--resume", ...ENDS]);
  const next = pair.migrate(await again.address(), ["--resume", "--connections", "2", ...ENDS]);
  await assertExit(next, 0, 120_000);
  await assertExit(again, 0, 30_000);
  await pair.assertArrived();
}

async function begin(context: ScenarioContext, name: string): Promise<Following> {
  const network = context.use(await Network.create());
  const pair = await startFollowing(context, { name, network });
  const receive = pair.receive(ENDS);
  const migrate = pair.migrate(await receive.address(), [
    ...["--connections", "2", ...followingAt("4M"), ...ENDS],
  ]);
  await untilFollows(migrate);
  return { network, pair, receive, migrate };
}

/** The port of the connection by which RAM crosses, or of the second one. */
async function portOf({ network, migrate }: Following, which: "ram" | "second"): Promise<number> {
  const before = await network.received();
  const count = migrate.events.entries.length;
  const isLater = (e: JsonEvent) =>
    e.event === "progress" && migrate.events.entries.indexOf(e) > count;
  await migrate.events.waitFor("more of RAM", isLater);
  const ports = [...await network.received()]
    .map(([port, bytes]) => [port, bytes - (before.get(port) ?? 0)] as const)
    .toSorted(([, a], [, b]) => b - a);
  if (ports.length !== 2) throw new Error(`${ports.length} connections, expected 2`);
  return ports[which === "ram" ? 0 : 1]![0];
}
