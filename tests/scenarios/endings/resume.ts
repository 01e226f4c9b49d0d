import { Pair } from "../pair/pair.ts";
import { assertExit, assertRefused, type Scenario } from "../support/scenario.ts";
import type { JsonEvent, Vmferry } from "../support/vmferry.ts";

const SLOW = ["--bandwidth", "8M"];
const ENOUGH = 12 << 20;

/** vmferry is killed during the copy, on either side and on both. */
export const scenario: Scenario = {
  name: "resume",
  about: "after kill -9 of either vmferry during the copy, --resume continues where it was",
  timeoutMs: 240_000,
  async run(context) {
    const figures: string[] = [];
    for (const killed of ["source", "destination", "both"] as const) {
      context.note(`killed: ${killed}`);
      const dir = `${context.dir}/${killed}`;
      await Deno.mkdir(dir);
      const pair = await Pair.start(context, { dir });
      let receive = pair.receive();
      const address = await receive.address();
      let migrate = pair.migrate(address, SLOW);
      const before = moved(await migrate.waitEvent("progress", (e) => moved(e) > ENOUGH));
      const jobs = await jobIds(pair);
      if (killed !== "destination") await kill(migrate);
      if (killed !== "source") await kill(receive);

      if (killed !== "source") {
        await assertRefused(pair.receive(), /cut off in state .prepared.*receive --resume/);
        receive = pair.receive(["--resume"]);
        await receive.address();
      }
      if (killed !== "destination") {
        await assertRefused(pair.migrate(address), /cut off in state .mirror.*migrate --resume/);
        migrate = pair.migrate(address, ["--resume"]);
        const first = moved(await migrate.waitEvent("progress"));
        if (first < before) throw new Error(`It went on from ${first}, had been at ${before}`);
      }
      const now = await jobIds(pair);
      if (jobs !== now) throw new Error(`The jobs were ${jobs} and are ${now}`);
      if (killed === "destination") await pair.set("bandwidth=none");
      await assertExit(migrate, 0);
      await assertExit(receive, 0);
      await pair.assertArrived();
      const { totalMs } = await migrate.waitEvent("result");
      figures.push(`${killed}: ${before >> 20} MiB kept, then ${totalMs} ms`);
    }
    return figures.join("; ");
  },
};

async function kill(ferry: Vmferry): Promise<void> {
  ferry.signal("SIGKILL");
  await ferry.exit();
}

async function jobIds(pair: Pair): Promise<string> {
  const jobs = await pair.source.execute<{ id: string }[]>("query-jobs");
  return jobs.map((job) => job.id).sort().join();
}

function moved(event: JsonEvent): number {
  return (event.disks as { transferred: number }[]).reduce((sum, d) => sum + d.transferred, 0);
}
