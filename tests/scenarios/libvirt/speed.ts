import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import {
  assertMigrated,
  LibvirtLab,
  migrateOverRelays,
  RingDomain,
  startDomainFerries,
} from "./lab/mod.ts";

const MiB = 1024 * 1024;
const DISKS = [{ format: "qcow2", bytes: 512 * MiB }, { format: "raw", bytes: 512 * MiB }] as const;
/** How much longer vmferry may take. */
const MOST = 1.15;
/** Migrations of each kind. One of them may take half as long again as the others. */
const ROUNDS = 4;

/** The same migration by vmferry and over plain relays, in turn. */
export const scenario: Scenario = {
  name: "speed",
  about: "vmferry domain takes at most 1.15 times as long as virsh migrate over plain relays",
  timeoutMs: 400_000,
  long: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const relays: number[] = [];
    const ferry: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      relays.push(await overRelays(lab));
      ferry.push(await byVmferry(context, lab));
    }
    const ratio = median(ferry) / median(relays);
    const figures = `${ratio.toFixed(2)} (relays ${seconds(relays)}, vmferry ${seconds(ferry)})`;
    if (ratio <= MOST) return figures;
    throw new Error(`vmferry is slower than ${MOST} times the relays: ${figures}`);
  },
};

/** Duration of `virsh migrate`, s; the images are there before. */
async function overRelays(lab: LibvirtLab): Promise<number> {
  const guest = await RingDomain.start(lab, { name: "plain", disks: DISKS });
  await guest.makeEmptyImages();
  const { code, stderr, seconds } = await migrateOverRelays(lab, guest.name);
  if (code !== 0) throw new Error(`virsh migrate ended with ${code}: ${stderr}`);
  await end(lab, guest);
  return seconds;
}

/** Duration of the command, s, with its checks and the creation of the images. */
async function byVmferry(context: ScenarioContext, lab: LibvirtLab): Promise<number> {
  const guest = await RingDomain.start(lab, { name: "ferried", disks: DISKS });
  const ferries = await startDomainFerries(context, lab, guest.name);
  await assertExit(ferries.domain, 0);
  const seconds = (performance.now() - ferries.startedAt) / 1000;
  await assertMigrated(ferries);
  for (const ferry of [ferries.receive, ferries.domain]) {
    const events = ferry.events.entries.filter((e) => e.event !== "progress");
    const at = events.map((e) => `${e.phase ?? e.event} ${e.time.slice(17, 23)}`).join(", ");
    context.note(`${ferry.name}: ${at}`);
  }
  await end(lab, guest);
  return seconds;
}

async function end(lab: LibvirtLab, guest: RingDomain): Promise<void> {
  await guest.assertArrived();
  for (const host of [lab.source, lab.destination]) await guest.removeImages(host);
}

function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
}

function seconds(list: readonly number[]): string {
  return `${list.map((n) => n.toFixed(1)).join(" ")} s`;
}
