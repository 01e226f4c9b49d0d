/**
 * What a pair is held against at the end: where the guest is, and that nothing of ours is left.
 *
 * @module
 */
import { differenceOutsideRing, verifyRing } from "../guest/mod.ts";
import type { PairFerries } from "./pair_ferries.ts";
import type { PairMachines } from "./pair_machines.ts";
import type { QmpGate } from "../support/qmp_gate.ts";
import { assertNone } from "../support/scenario.ts";

/** What there is of a pair at the end. */
export interface PairEnd {
  readonly machines: PairMachines;
  readonly ferries: PairFerries;
  /** The guest was paused when it was migrated. */
  readonly wasPaused: boolean;
}

/** What else is in order where the guest is still at the source. Default: nothing. */
export interface StillAtSource {
  /** The destination's QEMU has ended. */
  readonly destinationGone?: boolean;
  /** The receive still waits. */
  readonly receiving?: boolean;
  /** The state that the guest stands in for reasons of its own. Default: as it was. */
  readonly status?: string;
}

/** The guest is at the destination and only there, with all that it wrote. Ends both QEMUs. */
export async function assertArrived({ machines, ferries, wasPaused }: PairEnd): Promise<void> {
  const { source, destination } = machines;
  const expected = wasPaused ? "paused" : "running";
  const faults: string[] = [];
  const status = await destination.status();
  if (status !== expected) faults.push(`The destination is ${status}, expected ${expected}`);
  const arrived = await destination.counter();
  if (wasPaused) await destination.execute("cont");
  const last = await destination.waitCounter(arrived + 50);
  if (!await source.gone()) {
    const sourceStatus = await source.status();
    if (sourceStatus !== "postmigrate") {
      faults.push(`The source is ${sourceStatus}, expected postmigrate`);
    }
    const stood = await source.counter();
    if (stood > arrived) faults.push(`The source counted to ${stood}, it arrived at ${arrived}`);
    faults.push(...await machines.leftServer("source"), ...await machines.left("source"));
  }
  faults.push(...await machines.leftServer("dest"), ...await machines.left("dest"));
  faults.push(...await ferries.leftOnHost());
  assertNone(faults);

  await Promise.all([source.quit(), destination.quit()]);
  await assertDisksArrived(machines, last);
}

/** The guest still runs at the source, or stands there, if it stood. */
export async function assertStillAtSource(
  { machines, ferries, wasPaused }: PairEnd,
  options: StillAtSource,
): Promise<void> {
  const { source, destination } = machines;
  const faults: string[] = [];
  const expected = options.status ?? (wasPaused ? "paused" : "running");
  const status = await source.status();
  if (status !== expected) faults.push(`The source is ${status}, expected ${expected}`);
  if (expected === "running") await source.waitCounter(await source.counter() + 100);
  faults.push(...await machines.leftServer("source"), ...await machines.left("source"));
  if (!options.destinationGone) {
    const there = await destination.status();
    if (there === "running") faults.push("The destination runs the guest too");
    faults.push(...await machines.leftServer("dest"), ...await machines.left("dest"));
  }
  // A receive that still waits has its directory and its process.
  if (!options.receiving) faults.push(...await ferries.leftOnHost());
  assertNone(faults);
}

/** The guest went with the source's QEMU. */
export async function assertLost({ machines, ferries }: PairEnd): Promise<void> {
  const { destination } = machines;
  const faults = await ferries.leftOnHost();
  if (!await destination.gone()) {
    const status = await destination.status();
    if (status === "running") faults.push("The destination runs what was never handed over");
    faults.push(...await machines.leftServer("dest"), ...await machines.left("dest"));
  }
  assertNone(faults);
}

/**
 * QEMU never got a cancel after migrate-continue: before 10.0 it may end at
 * the guest's next write.
 */
export function assertNotCancelledLate(
  { gates }: { readonly gates: { readonly source: QmpGate } },
): void {
  let continued = false;
  for (const command of gates.source.commands) {
    if (command === "migrate") continued = false;
    if (command === "migrate-continue") continued = true;
    if (command === "migrate_cancel" && continued) {
      throw new Error("QEMU got a cancel after migrate-continue");
    }
  }
}

/** Every write of the guest is on the destination's disks, up to `last`; the rest is the same. */
async function assertDisksArrived({ images, ring }: PairMachines, last: number): Promise<void> {
  for (const [i, to] of images.to.entries()) {
    const from = images.from[i]!;
    if (i < 2) {
      const report = await verifyRing(to, ring, i);
      assertNone(report.faults);
      if (report.highest < last - 2) {
        throw new Error(`Disk ${i} ends at ${report.highest}, expected ${last - 2} or more`);
      }
    }
    const difference = await differenceOutsideRing(from, to, ring);
    if (difference) throw new Error(difference);
  }
}
