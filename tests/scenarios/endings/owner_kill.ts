import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { allMove } from "../support/vmferry.ts";

/** A pause or resume by the guest's owner survives the kill of vmferry. */
export const scenario: Scenario = {
  name: "owner_kill",
  about: "a guest that its owner paused or resumed before vmferry was killed keeps that state",
  timeoutMs: 180_000,
  slow: true,
  async run(context) {
    for (const did of ["cont", "stop"] as const) {
      context.note(`${did}, killed while disks are copied, resumed`);
      const resumed = await begin(context, did, "resumed");
      await kill(resumed);
      const again = resumed.pair.migrate(resumed.address, ["--resume"]);
      await assertExit(again, 0);
      await assertExit(resumed.receive, 0);
      await resumed.pair.assertArrived();

      context.note(`${did}, killed once the RAM has crossed, undone`);
      const undone = await begin(context, did, "undone");
      const { pair } = undone;
      await pair.source.events.waitFor(
        "RAM to have crossed",
        (e) => e.event === "MIGRATION" && e.data.status === "completed",
      );
      await kill(undone);
      await assertExit(pair.recover("source", ["--yes"]), 0, 30_000);
      const status = await pair.source.status();
      const expected = did === "cont" ? "running" : "postmigrate";
      if (status !== expected) throw new Error(`The source is ${status}, expected ${expected}`);
    }
    return "as its owner left it, resumed and recovered";
  },
};

type Begun = Awaited<ReturnType<typeof begin>>;

/** A migration during whose copy the owner acts; with `undone` it cannot be finished. */
async function begin(context: ScenarioContext, did: "cont" | "stop", what: "resumed" | "undone") {
  const dir = `${context.dir}/${did[0]}${what[0]}`;
  await Deno.mkdir(dir);
  const gated = what === "undone";
  const paused = did === "cont";
  const pair = await Pair.start(context, { dir, gated, paused, bytes: 24 << 20 });
  const receive = pair.receive();
  const address = await receive.address();
  const migrate = pair.migrate(address, ["--bandwidth", "4M"]);
  await migrate.waitEvent("progress", allMove);
  // Not earlier: the comparison of the disks stops its own NBD server.
  if (gated) pair.gates.destination.hold("nbd-server-stop");
  await pair.source.execute(did);
  if (paused) pair.nowRuns();
  else pair.nowPaused();
  if (gated) await pair.set("bandwidth=none");
  return { pair, receive, migrate, address };
}

async function kill({ migrate }: Begun): Promise<void> {
  migrate.signal("SIGKILL");
  await migrate.exit();
}
