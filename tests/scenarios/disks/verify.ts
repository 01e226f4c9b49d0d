import { Pair } from "../pair/pair.ts";
import { MiB, type PairDisk } from "../pair/pair_options.ts";
import {
  FEW_BLOCKS,
  flipByte,
  heldAtComparison,
  imageRoot,
  verifiedBy,
  VERIFY,
} from "../pair/flips.ts";
import { WrongStorage } from "../pair/wrong_storage.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";

const BYTES = 48 * MiB;
/** In a block that the guest does not write. */
const AT = 10 * MiB + 4711;

export const scenario: Scenario = {
  name: "verify",
  about:
    "--verify proves that the disks arrived, repairs a flipped byte, and fails when it stays wrong",
  timeoutMs: 300_000,
  slow: true,
  async run(context) {
    const words = await quiet(context);
    await repaired(context);
    await staysWrong(context);
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
  const pair = await Pair.start(context, { bytes: BYTES, guest: FEW_BLOCKS, disks });
  const receive = pair.receive();
  const migrate = pair.migrate(await receive.address(), VERIFY);
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
  context.note("a byte of the destination's image is flipped once the mirror is ready");
  const dir = `${context.dir}/r`;
  await Deno.mkdir(dir);
  const disks: readonly PairDisk[] = [{ from: "raw", to: "raw" }];
  const pair = await Pair.start(context, {
    bytes: BYTES,
    guest: FEW_BLOCKS,
    disks,
    dir,
    gated: true,
  });
  const receive = pair.receive();
  const { migrate, held } = await heldAtComparison(
    pair.gates.source,
    async () => pair.migrate(await receive.address(), VERIFY),
  );
  await flipByte(pair.destinationImages[0]!, AT);
  held.release();
  await assertExit(migrate, 0);
  await assertExit(receive, 0);
  const [{ unproved, differed } = { unproved: -1, differed: -1 }] = verifiedBy(migrate);
  if (differed !== 1 || unproved !== 0) throw new Error(`Got ${differed} ${unproved}`);
  const warning = migrate.events.entries.find((e) => e.code === "block-differed");
  if (!String(warning?.message).includes(String(10 * MiB))) {
    throw new Error(`Got the warning ${warning?.message}, expected the offset of the block`);
  }
  await pair.assertArrived();
}

async function staysWrong(context: ScenarioContext): Promise<void> {
  context.note("a byte of the destination is read wrong however often it is written");
  const dir = `${context.dir}/b`;
  await Deno.mkdir(dir);
  const storage = context.use(
    new WrongStorage({
      ...{ image: `${dir}/dest-vd0.raw`, sizeBytes: BYTES, at: AT, socket: `${dir}/nbd.sock` },
    }),
  );
  const disks: readonly PairDisk[] = [{ from: "raw", to: "raw", nbdTo: storage.socket }];
  const pair = await Pair.start(context, { bytes: BYTES, guest: FEW_BLOCKS, disks, dir });
  const receive = pair.receive();
  const migrate = pair.migrate(await receive.address(), VERIFY);
  await assertExit(migrate, 1);
  await assertExit(receive, 1);
  const result = migrate.events.entries.find((e) => e.event === "result");
  const { code } = result?.error as { code?: string } ?? {};
  if (code !== "disk-differs") throw new Error(`Got the error ${code}, expected disk-differs`);
  await pair.assertStillAtSource({ destinationGone: true });

  context.note("the next try works");
  storage.isWrong = false;
  await pair.renewDestination();
  const again = pair.receive();
  const next = pair.migrate(await again.address(), VERIFY);
  await assertExit(next, 0);
  await assertExit(again, 0);
  await pair.assertArrived();
}
