import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import { MiB, type PairDisk } from "../pair/pair_options.ts";
import {
  assertExit,
  assertNone,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";

const BYTES = 64 * MiB;
/** Of each disk at least, if no block was sent that the destination has. */
const THERE = 56 * MiB;

const DISKS: readonly PairDisk[] = [
  { from: "raw", to: "raw", oldCopy: true },
  { from: "qcow2", to: "qcow2", oldCopy: true },
  { from: "raw", to: "qcow2", oldCopy: true, dataBytes: 16 * MiB },
  { from: "qcow2", to: "raw", oldCopy: true, dataBytes: 16 * MiB, discardTo: "unmap" },
  // Nothing is there yet.
  { from: "raw", to: "raw", dataBytes: 16 * MiB },
];
const REUSE = ["vd0", "vd1", "vd2", "vd3"].flatMap((name) => ["--reuse", name]);

/** The way back to a host that has old copies of the disks. */
export const scenario: Scenario = {
  name: "delta",
  about: "--delta sends what the destination's old copies lack, also over a connection that is cut",
  timeoutMs: 180_000,
  async run(context) {
    const words = await crossing(context);
    await killed(context);
    return words;
  },
};

async function crossing(context: ScenarioContext): Promise<string> {
  context.note("a connection that is cut");
  const network = context.use(await Network.create());
  const pair = await Pair.start(context, { bytes: BYTES, disks: DISKS, network });
  const receive = pair.receive();
  const address = await receive.address();
  const refused = pair.migrate(address, ["--delta"]);
  await assertExit(refused, 3);
  const migrate = pair.migrate(address, ["--delta", ...REUSE, "--bandwidth", "4M"]);
  await migrate.waitEvent("phase", (e) => e.phase === "mirror");
  await network.cut();
  await migrate.waitEvent("link", (e) => e.state === "down");
  await network.restore();
  await pair.set("bandwidth=none");
  await assertExit(migrate, 0, 120_000);
  await assertExit(receive, 0);
  const skipped = skippedOf(migrate);
  assertNone(
    [0, 1, 2, 3].filter((i) => skipped[i]! < THERE)
      .map((i) => `vd${i}: ${skipped[i]} of ${BYTES} bytes were not sent, expected ${THERE}`),
  );
  const last = (await Deno.stat(pair.destinationImages[4]!)).blocks! * 512;
  if (last > BYTES / 2) throw new Error(`vd4 takes ${last} bytes: it was thin`);
  await pair.assertArrived();
  return `not sent: ${skipped.map((n) => `${Math.round(n / MiB)}`).join(", ")} of 64 MiB`;
}

/** A process that resumes the mirrors knows nothing of what the first one has written. */
async function killed(context: ScenarioContext): Promise<void> {
  context.note("the source's tool is killed");
  const dir = `${context.dir}/k`;
  await Deno.mkdir(dir);
  const pair = await Pair.start(context, { bytes: BYTES, disks: DISKS.slice(0, 2), dir });
  const receive = pair.receive();
  const address = await receive.address();
  const options = ["--delta", "--reuse", "vd0", "--reuse", "vd1"];
  const first = pair.migrate(address, [...options, "--bandwidth", "2M"]);
  await first.waitEvent("progress", () => skippedOf(first)[0]! > 0);
  first.signal("SIGKILL");
  await first.exit();
  const migrate = pair.migrate(address, ["--resume", ...options]);
  await assertExit(migrate, 0, 120_000);
  await assertExit(receive, 0);
  await pair.assertArrived();
}

function skippedOf(migrate: Vmferry): number[] {
  const last = migrate.events.entries.findLast((e) => e.event === "progress");
  return (last?.disks as { skipped?: number }[] ?? []).map((disk) => disk.skipped ?? 0);
}
