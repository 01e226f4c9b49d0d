import { Pair } from "../pair/pair.ts";
import { MiB, type PairDisk } from "../pair/pair_options.ts";
import { flipAgain, flipByte, imageRoot, verifiedBy } from "../pair/flips.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";

const BYTES = 48 * MiB;
/** In a block that the guest does not write. */
const AT = 10 * MiB + 4711;
const SLOW = ["--verify", "--bandwidth", "20M"];

export const scenario: Scenario = {
  name: "verify",
  about:
    "--verify proves that the disks arrived, repairs a flipped byte, and fails when it comes back",
  timeoutMs: 300_000,
  async run(context) {
    const words = await quiet(context);
    await repaired(context);
    await comesBack(context);
    return words;
  },
};

async function quiet(context: ScenarioContext): Promise<string> {
  context.note("all blocks are proved");
  const disks: readonly PairDisk[] = [
    { from: "raw", to: "raw" },
    { from: "qcow2", to: "qcow2", dataBytes: 16 * MiB },
    { from: "raw", to: "qcow2", dataBytes: 8 * MiB },
  ];
  const pair = await Pair.start(context, { bytes: BYTES, disks });
  const receive = pair.receive();
  const migrate = pair.migrate(await receive.address(), ["--verify"]);
  await assertExit(migrate, 0);
  await assertExit(receive, 0);
  const verified = verifiedBy(migrate);
  for (const [i, { disk, blocks, unproved, differed, rootHash }] of verified.entries()) {
    const found = `${disk}: ${blocks} ${unproved} ${differed}`;
    if (found !== `vd${i}: ${BYTES >> 16} 0 0`) throw new Error(`Got ${found}`);
    // The source's guest is paused, and has not written since it was compared.
    const expected = await imageRoot(pair.sourceImages[i]!, disks[i]!.from);
    if (rootHash !== expected) throw new Error(`${disk}: root ${rootHash}, expected ${expected}`);
  }
  if (verified.length !== 3) throw new Error(`Got ${verified.length} disks, expected 3`);
  await pair.assertArrived();
  const result = migrate.events.entries.find((e) => e.event === "result");
  return `${verified[0]!.seconds} s, downtime ${result?.downtimeMs} ms`;
}

async function repaired(context: ScenarioContext): Promise<void> {
  context.note("a byte of the destination's image is flipped while it is copied");
  const pair = await start(context, "r");
  const receive = pair.receive();
  const migrate = pair.migrate(await receive.address(), SLOW);
  await copied(migrate);
  await flipByte(pair.destinationImages[0]!, AT);
  await assertExit(migrate, 0, 60_000);
  await assertExit(receive, 0);
  const [{ unproved, differed } = { unproved: -1, differed: -1 }] = verifiedBy(migrate);
  if (differed !== 1 || unproved !== 0) throw new Error(`Got ${differed} ${unproved}`);
  const warning = migrate.events.entries.find((e) => e.code === "block-differed");
  if (!String(warning?.message).includes(String(10 * MiB))) {
    throw new Error(`Got the warning ${warning?.message}, expected the offset of the block`);
  }
  await pair.assertArrived();
}

async function comesBack(context: ScenarioContext): Promise<void> {
  context.note("a byte is flipped again and again");
  const pair = await start(context, "b");
  const receive = pair.receive();
  const migrate = pair.migrate(await receive.address(), SLOW);
  await copied(migrate);
  {
    await using _ = await flipAgain(pair.destinationImages[0]!, AT);
    await assertExit(migrate, 1, 60_000);
    await assertExit(receive, 1);
  }
  const result = migrate.events.entries.find((e) => e.event === "result");
  const { code } = result?.error as { code?: string } ?? {};
  if (code !== "disk-differs") throw new Error(`Got the error ${code}, expected disk-differs`);
  await pair.assertStillAtSource({ destinationGone: true });

  context.note("the next try works");
  await pair.renewDestination();
  const again = pair.receive();
  const next = pair.migrate(await again.address(), ["--verify"]);
  await assertExit(next, 0);
  await assertExit(again, 0);
  await pair.assertArrived();
}

const RAW: readonly PairDisk[] = [{ from: "raw", to: "raw" }];

async function start(context: ScenarioContext, name: string): Promise<Pair> {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(dir);
  return await Pair.start(context, { bytes: BYTES, disks: RAW, dir });
}

/** The mirror has passed the byte, and copies on. */
async function copied(migrate: Vmferry): Promise<void> {
  await migrate.waitEvent("progress", (e) => {
    const [disk] = e.disks as { transferred: number }[];
    return disk!.transferred > 16 * MiB;
  }, 60_000);
}
