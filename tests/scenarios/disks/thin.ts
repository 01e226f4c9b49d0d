import { Pair } from "../pair/pair.ts";
import { MiB, type PairDisk } from "../pair/pair_options.ts";
import { assertExit, assertNone, type Scenario } from "../support/scenario.ts";

const BYTES = 64 * MiB;
const DATA = 8 * MiB;

/** The destination's image, and how much of its 64 MiB is allocated once 8 MiB of data are copied. */
const TARGETS: readonly { name: string; disk: Omit<PairDisk, "from"> }[] = [
  { name: "raw", disk: { to: "raw" } },
  { name: "raw,discard", disk: { to: "raw", discardTo: "unmap" } },
  { name: "raw,preallocated", disk: { to: "raw", preallocated: true } },
  {
    name: "raw,preallocated,discard",
    disk: { to: "raw", preallocated: true, discardTo: "unmap" },
  },
  { name: "qcow2", disk: { to: "qcow2" } },
  { name: "qcow2,discard", disk: { to: "qcow2", discardTo: "unmap" } },
  { name: "qcow2,preallocated", disk: { to: "qcow2", preallocated: true } },
];

export const scenario: Scenario = {
  name: "thin",
  about: "a thin target stays thin, a preallocated one stays allocated",
  timeoutMs: 180_000,
  async run(context) {
    const disks = TARGETS.map(({ disk }) => ({ from: "raw", dataBytes: DATA, ...disk } as const));
    const pair = await Pair.start(context, { bytes: BYTES, disks });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address());
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    const faults: string[] = [];
    const figures = await Promise.all(TARGETS.map(async ({ name, disk }, i) => {
      const allocated = await allocatedBytes(pair.destinationImages[i]!);
      const mib = Math.round(allocated / MiB);
      // The guest's writes meanwhile, and metadata.
      const isThin = allocated < BYTES / 2;
      if (disk.preallocated && isThin) faults.push(`${name}: ${mib} MiB are left allocated`);
      if (!disk.preallocated && !isThin) faults.push(`${name}: ${mib} MiB are allocated`);
      return `${name} ${mib}`;
    }));
    assertNone(faults.map((fault) => `${fault}; all: ${figures.join(", ")} MiB`));
    await pair.assertArrived();
    return `${figures.join(", ")} MiB`;
  },
};

async function allocatedBytes(path: string): Promise<number> {
  return (await Deno.stat(path)).blocks! * 512;
}
