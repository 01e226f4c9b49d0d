import { filledMemory } from "../pair/filled_memory.ts";
import { Pair } from "../pair/pair.ts";
import { accelerator } from "../support/qemu.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";

const MiB = 1024 * 1024;
/** RAM that may be left when the guest is paused: a third of what 300 ms would send. */
const LEFT = 20 * MiB;

/** How much RAM is sent while the guest is paused. */
export const scenario: Scenario = {
  name: "downtime",
  about:
    "the downtime is short where little RAM is left, and grows only where more passes do not help",
  timeoutMs: 180_000,
  async run(context) {
    context.note("all RAM could be sent within --max-downtime");
    const memory = await filledMemory(`${context.dir}/memory`);
    const quiet = await started(context, "quiet", {
      sourceExtra: memory.source,
      destinationExtra: memory.destination,
    });
    const stopped = quiet.gates.source.hold("migrate-continue");
    const receive = quiet.receive();
    const migrate = quiet.migrate(await receive.address(), ["--bandwidth", "200M"]);
    await stopped.arrived;
    const { ram } = await quiet.source.execute<{ ram: { remaining: number } }>("query-migrate");
    stopped.release();
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    await quiet.assertArrived();
    if (ram.remaining > LEFT) throw new Error(`${ram.remaining} bytes were left at the stop`);

    context.note("the guest changes the same 8 MiB again and again, 200 ms of the connection");
    const busy = await started(context, "busy", { guest: { ramPages: 2048, ramStep: 512 } });
    const receiveBusy = busy.receive();
    const migrateBusy = busy.migrate(await receiveBusy.address(), ["--bandwidth", "40M"]);
    await assertExit(migrateBusy, 0);
    await assertExit(receiveBusy, 0);
    await busy.assertArrived();
    const set = busy.gates.source.commands.filter((c) => c === "migrate-set-parameters").length;
    // Two commands set the first limit, the last one restores QEMU's.
    const raised = set - 3;
    // There RAM crosses in a single pass, at a limit of 0.
    const once = accelerator() === "tcg" && !busy.source.atLeast(9, 0);
    if (once && raised > 0) {
      throw new Error(`The downtime was raised ${raised} times, expected none`);
    }
    if (!once && raised < 3) {
      throw new Error(`The downtime was raised ${raised} times, expected 3 or more`);
    }
    return `${(ram.remaining / MiB).toFixed(1)} MiB left; raised ${raised} times`;
  },
};

async function started(
  context: ScenarioContext,
  name: string,
  options: Parameters<typeof Pair.start>[1],
): Promise<Pair> {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(dir);
  return await Pair.start(context, { dir, gated: true, bytes: 24 * MiB, ...options });
}
