import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";

const IMPATIENT = ["--grace", "3", "--dead-after", "2"];

/** The connection is lost during the handover, before the destination's answer. */
export const scenario: Scenario = {
  name: "handover_cut",
  about:
    "after the handover a silent destination means unknown, and the source does not start the guest",
  timeoutMs: 180_000,
  slow: true,
  async run(context) {
    context.note(
      "cut before the destination has loaded all: the guest keeps running at the source",
    );
    {
      const { pair, migrate, receive } = await cutAt(context, "migrate-continue", "source");
      await assertExit(migrate, 1, 40_000);
      await assertExit(receive, 1, 40_000);
      await pair.assertStillAtSource({ destinationGone: true });
    }
    context.note("cut at the destination's cont, and the connection comes back: migrated");
    {
      const { pair, network, migrate, receive } = await cutAt(context, "cont", "destination", []);
      await pair.destination.events.waitFor("RESUME", (e) => e.event === "RESUME");
      if (ended(migrate)) throw new Error("The source did not wait for the answer");
      await network.restore();
      await assertExit(migrate, 0);
      await assertExit(receive, 0);
      await pair.assertArrived();
    }
    context.note("the connection stays lost: unknown, and the source's guest stays paused");
    const { pair, migrate, receive } = await cutAt(context, "cont", "destination");
    await assertExit(migrate, 4);
    const source = await pair.source.status();
    if (source !== "postmigrate") throw new Error(`The source is ${source} after "unknown"`);
    await pair.destination.events.waitFor("RESUME", (e) => e.event === "RESUME");
    await assertExit(receive, 0);

    context.note(
      "recover starts nothing that may run elsewhere; with this QEMU gone it removes its record when told",
    );
    const { error, next } = await migrate.waitEvent("result") as unknown as {
      error: { code: string };
      next: string[];
    };
    if (error.code !== "handover-unanswered" || !next.some((n) => n.includes("--force-run-here"))) {
      throw new Error(`Got ${JSON.stringify({ error, next })}`);
    }
    const ask = pair.recover("source", ["--yes"]);
    await assertExit(ask, 4, 20_000);
    const still = await pair.source.status();
    if (still !== "postmigrate") throw new Error(`recover made the source ${still}`);
    await pair.source.quit();
    const gone = pair.recover("source", ["--yes"]);
    await assertExit(gone, 0, 20_000);
    const told = await gone.waitEvent("recover");
    if (told.done !== false) throw new Error("recover --yes removed the record of a handover");
    await assertExit(pair.recover("source", ["--force-run-here"]), 0, 20_000);
    await pair.assertArrived();
  },
};

/** Migrates until `command` is about to reach the QEMU of `side`; cuts the connection, then lets it pass. */
async function cutAt(
  context: ScenarioContext,
  command: string,
  side: "source" | "destination",
  options: readonly string[] = IMPATIENT,
) {
  const network = context.use(await Network.create());
  const dir = `${context.dir}/${network.source.name}`;
  await Deno.mkdir(dir);
  const pair = await Pair.start(context, { network, dir, gated: true });
  const receive = pair.receive(options);
  const address = await receive.address();
  const held = pair.gates[side].hold(command);
  const migrate = pair.migrate(address, options);
  await held.arrived;
  await network.cut();
  held.release();
  return { pair, network, migrate, receive };
}

function ended(ferry: Vmferry): boolean {
  return ferry.events.entries.some((e) => e.event === "result");
}
