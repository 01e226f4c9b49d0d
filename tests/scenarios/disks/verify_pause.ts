import { FEW_BLOCKS, heldAtComparison, verifiedBy, VERIFY } from "../pair/flips.ts";
import { Pair } from "../pair/pair.ts";
import { MiB, type PairOptions } from "../pair/pair_options.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";

/** More than the mirror copies. */
const BUSY = { waitUs: 0, ramPages: 0, ramStep: 0 };

export const scenario: Scenario = {
  name: "verify_pause",
  about: "while --verify compares all disks, a guest runs that vmferry has paused for the copy, " +
    "and one that its owner has paused stays paused",
  timeoutMs: 240_000,
  async run(context) {
    context.note("vmferry pauses the guest for the rest of the copy");
    const ours = await start(context, "v", { guest: BUSY });
    const seen = await atComparison(ours, ["--timeout", "1", "--timeout-action", "pause"], {
      meanwhile: async (migrate) => {
        await migrate.waitEvent("warning", (e) => e.code === "guest-suspended");
        await ours.set("bandwidth=none");
      },
    });
    if (seen !== "running") throw new Error(`The guest is ${seen} while its disks are compared`);

    context.note("the owner pauses the guest while its disks are copied");
    const owners = await start(context, "o", { guest: FEW_BLOCKS });
    const stands = await atComparison(owners, [], {
      meanwhile: async (migrate) => {
        await migrate.waitEvent("progress", (e) => e.phase === "mirror");
        await owners.source.execute("stop");
        owners.nowPaused();
        await owners.set("bandwidth=none");
      },
      unproved: 0,
    });
    if (stands !== "paused") throw new Error(`The owner's guest is ${stands}, expected paused`);
  },
};

async function start(
  context: ScenarioContext,
  dir: string,
  { guest }: Pick<PairOptions, "guest">,
): Promise<Pair> {
  const path = `${context.dir}/${dir}`;
  await Deno.mkdir(path);
  return await Pair.start(context, {
    ...{ bytes: 8 * MiB, disks: [{ from: "raw", to: "raw" }], gated: true, dir: path },
    ...(guest ? { guest } : {}),
  });
}

/** Migrates the guest; returns its state when the comparison begins. */
async function atComparison(
  pair: Pair,
  args: readonly string[],
  options: { meanwhile: (migrate: Vmferry) => Promise<void>; unproved?: number },
): Promise<string> {
  const receive = pair.receive();
  const address = await receive.address();
  let meanwhile: Promise<void> | undefined;
  const { migrate, held } = await heldAtComparison(pair.gates.source, () => {
    const migrate = pair.migrate(address, [...VERIFY, "--bandwidth", "1M", ...args]);
    meanwhile = options.meanwhile(migrate);
    meanwhile.catch(() => {});
    return migrate;
  });
  const status = await pair.source.status();
  held.release();
  await meanwhile;
  await assertExit(migrate, 0);
  await assertExit(receive, 0);
  const [disk] = verifiedBy(migrate);
  if (disk?.differed !== 0 || disk.unproved > (options.unproved ?? Infinity)) {
    throw new Error(`Got ${JSON.stringify(disk)}`);
  }
  await pair.assertArrived();
  return status;
}
