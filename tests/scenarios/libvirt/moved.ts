import { assertNone, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { allMove, type JsonEvent } from "../support/vmferry.ts";
import {
  assertLabAsBefore,
  assertListens,
  assertMigrated,
  labState,
  LibvirtLab,
  RingDomain,
  startDomainFerries,
  tracesOf,
} from "./lab/mod.ts";

const MiB = 1024 * 1024;

/** Slow enough for a look at both hosts while disks are copied. */
const SLOW = ["--bandwidth", "32M"];

/** The main job with libvirt: first a destination without a pool, then one with a pool. */
export const scenario: Scenario = {
  name: "moved",
  about: "one command moves a running domain with its disks through one TCP connection",
  timeoutMs: 150_000,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const without = await move(context, lab, "vm1", 1);
    await lab.destination.definePool();
    const withPool = await move(context, lab, "vm2", 2);
    const volumes = await lab.destination.virsh("vol-list", "default");
    assertNone(
      ["vm2-0.qcow2", "vm2-1.raw"].filter((name) => !volumes.includes(name))
        .map((name) => `The pool has no volume ${name}: ${volumes}`),
    );
    return `${without}; with a pool ${withPool}`;
  },
};

async function move(
  context: ScenarioContext,
  lab: LibvirtLab,
  name: string,
  connections: number,
): Promise<string> {
  const { source, destination } = lab;
  const before = await labState(lab);
  const guest = await RingDomain.start(lab, { name });
  const ferries = await startDomainFerries(context, lab, name, { args: SLOW });
  const { domain, receive } = ferries;
  await domain.waitEvent("progress", (e) => e.phase === "mirror" && allMove(e));
  const port = Number((await receive.address()).split(":").at(-1));
  await assertListens(source, []);
  await assertListens(destination, [port]);
  await privateSockets(lab);
  const result = await assertMigrated(ferries);
  assertEvents(domain.events.entries, result);
  await lab.assertConnections(connections);
  if ((await source.domains()).has(name)) throw new Error(`The source still has ${name}`);
  // Images stay at the source, and are at the destination now.
  const images = new RegExp(`(/|^volume )${name}-\\d\\.(qcow2|raw)( in default)?$`);
  const traces = tracesOf(name);
  await assertLabAsBefore(lab, before, new RegExp(`${traces.source}|${images.source}`));
  await guest.assertArrived();
  return `${(Number(result.totalMs) / 1000).toFixed(1)} s, downtime ${result.downtimeMs} ms`;
}

/** Only QEMU's user and root may reach the sockets of RAM and disks. */
async function privateSockets({ source, destination }: LibvirtLab): Promise<void> {
  const modes: string[] = [];
  for (const host of [source, destination]) {
    const { stdout } = await host.run(
      ["sh", "-c", "stat -c '%a %U' /run/libvirt/qemu/vmferry-*"],
    );
    modes.push(stdout.trim());
  }
  if (modes.join() !== "711 root,700 libvirt-qemu") {
    throw new Error(`The sockets' directories have ${modes.join()}`);
  }
}

function assertEvents(events: readonly JsonEvent[], result: JsonEvent): void {
  const faults: string[] = [];
  const phases = events.filter((e) => e.event === "phase").map((e) => e.phase).join(" ");
  const expected = "prepare mirror ram switchover handover done";
  if (phases !== expected) faults.push(`Got phases "${phases}", expected "${expected}"`);
  const progress = events.filter((e) => e.event === "progress");
  for (const { disks } of progress) {
    const names = (disks as { name: string; sizeBytes: number }[]).map((d) => d.name).join(" ");
    if (names !== "vda vdb") faults.push(`Got disks "${names}" in a progress`);
    const sizes = (disks as { sizeBytes: number }[]).map((d) => d.sizeBytes / MiB).join(" ");
    if (sizes !== "64 64") faults.push(`Got sizes "${sizes}" in a progress`);
  }
  const mirror = progress.filter((e) => e.phase === "mirror");
  if (mirror.length < 3) faults.push(`Got ${mirror.length} reports while disks were copied`);
  if (!mirror.some((e) => Number(e.rate) > 4 * MiB)) faults.push("No report had a rate");
  for (const [i, disk] of [0, 1].entries()) {
    const copied = mirror.map((e) => (e.disks as { transferred: number }[])[disk]!.transferred);
    if (copied.some((n, at) => n < (copied[at - 1] ?? 0))) {
      faults.push(`Disk ${i} went back: ${copied.join(" ")}`);
    }
  }
  if (Number(result.bytes) < 128 * MiB) faults.push(`Got ${result.bytes} bytes in the result`);
  if (typeof result.downtimeMs !== "number") faults.push(`Got downtime ${result.downtimeMs}`);
  if (result.guest !== "running") faults.push(`Got guest ${result.guest}`);
  const warnings = events.filter((e) => e.event === "warning" && e.code !== "not-encrypted");
  faults.push(...warnings.map((e) => `Got the warning ${e.code}: ${e.message}`));
  assertNone(faults);
}
