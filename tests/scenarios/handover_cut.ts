import { Network } from "./support/network.ts";
import { Pair } from "./support/pair.ts";
import { assertExit, type Scenario, type ScenarioContext } from "./support/scenario.ts";
import type { Vmferry } from "./support/vmferry.ts";

/** The link goes when the guest has been handed over and the answer is still out. */
export const scenario: Scenario = {
  name: "handover_cut",
  about:
    "after the handover was asked for, silence is no answer: one guest runs, and none is guessed",
  timeoutMs: 180_000,
  async run(context) {
    context.note("the link comes back: migrated");
    {
      const { pair, network, migrate, receive } = await handedOver(context, []);
      await new Promise((resolve) => setTimeout(resolve, 2000));
      pair.destination.signal("SIGCONT");
      await pair.destination.events.waitFor("RESUME", (e) => e.event === "RESUME");
      if (ended(migrate)) throw new Error("The source did not wait for the answer");
      await network.restore();
      await assertExit(migrate, 0, 60_000);
      await assertExit(receive, 0, 60_000);
      await pair.assertArrived();
    }
    context.note("the link stays away: unknown, and the source stands still");
    const options = ["--grace", "3", "--dead-after", "2"];
    const { pair, migrate, receive } = await handedOver(context, options);
    await assertExit(migrate, 4, 40_000);
    const source = await pair.source.status();
    if (source !== "postmigrate") throw new Error(`The source is ${source} after "unknown"`);
    pair.destination.signal("SIGCONT");
    await pair.destination.events.waitFor("RESUME", (e) => e.event === "RESUME");
    await assertExit(receive, 0, 60_000);
    await pair.assertArrived();
  },
};

/** Migrates up to the question who runs the guest, with the answer kept back and the link cut. */
async function handedOver(context: ScenarioContext, options: readonly string[]) {
  const network = context.use(await Network.create());
  const dir = `${context.dir}/${network.source.name}`;
  await Deno.mkdir(dir);
  const pair = await Pair.start(context, { network, dir });
  const receive = pair.receive(options);
  const migrate = pair.migrate(await receive.address(), options);
  await pair.source.events.waitFor(
    "the source's last bytes",
    (e) => e.event === "MIGRATION" && e.data.status === "device",
  );
  // From here on the destination's QEMU only has to take what is on its way to it.
  pair.destination.signal("SIGSTOP");
  await receive.waitEvent("phase", (e) => e.phase === "handover");
  await network.cut();
  if (ended(receive)) throw new Error("The destination was not stopped in time");
  return { pair, network, migrate, receive };
}

function ended(ferry: Vmferry): boolean {
  return ferry.events.entries.some((e) => e.event === "result");
}
