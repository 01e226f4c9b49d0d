import {
  differenceOutsideRing,
  type GuestOptions,
  type Image,
  makeEmptyImage,
  makeImage,
  verifyRing,
} from "../guest/mod.ts";
import { migrateDirectly } from "../pair/direct_flow.ts";
import { assertNone, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import type { Disk } from "../support/qemu.ts";

const DISK_BYTES = 64 * 1024 * 1024;

/** A migration without vmferry: shows what QEMU and the scenarios' support can do. */
export const scenario: Scenario = {
  name: "direct",
  about: "QEMU to QEMU by hand, without vmferry: RAM and two disks cross, no write is lost",
  timeoutMs: 120_000,
  async run(context) {
    const ring = { start: 2048, length: 8192, runId: 0x5eed_0001_0000_0001n };
    const guest: GuestOptions = { ring, disks: 2, waitUs: 1000, ramPages: 2048, ramStep: 2 };
    const from = [
      image(context, "source-vd0", "raw"),
      image(context, "source-vd1", "raw"),
    ] as const;
    const to = [image(context, "dest-vd0", "raw"), image(context, "dest-vd1", "qcow2")] as const;
    await makeImage(from[0], { bytes: DISK_BYTES, seed: 1, guest });
    await makeImage(from[1], { bytes: DISK_BYTES, seed: 2 });
    for (const destination of to) await makeEmptyImage(destination, DISK_BYTES);

    const source = await context.qemu({ name: "source", disks: disks(from) });
    const destination = await context.qemu({ name: "dest", disks: disks(to), incoming: true });
    await source.waitCounter(50);

    const start = performance.now();
    const pauseMs = await migrateDirectly(context, source, destination, ["vd0", "vd1"]);
    const totalMs = performance.now() - start;

    const arrived = await destination.counter();
    const last = await destination.waitCounter(arrived + 50);
    await Promise.all([source.quit(), destination.quit()]);

    for (const [disk, path] of to.entries()) {
      const report = await verifyRing(path, ring, disk);
      assertNone(report.faults);
      if (report.highest < last - 1) {
        throw new Error(`Disk ${disk} ends at ${report.highest}, expected ${last - 1} or more`);
      }
      const difference = await differenceOutsideRing(from[disk]!, path, ring);
      if (difference) throw new Error(difference);
    }
    return `pause ${pauseMs.toFixed(1)} ms, total ${totalMs.toFixed(0)} ms, counter ${arrived}`;
  },
};

function image(context: ScenarioContext, name: string, format: Image["format"]): Image {
  return { path: `${context.dir}/${name}.${format}`, format };
}

function disks(images: readonly Image[]): Disk[] {
  return images.map((image, index) => ({ id: `vd${index}`, image }));
}
