import type { DiskLook } from "../../qmp/mod.ts";
import type { DeviceDescription, Inventory } from "../../rpc/mod.ts";
import { named } from "./compare_devices.ts";

/** The parts of a machine that vmferry compares during the migration; sizes in bytes. */
export interface MachineLook {
  readonly devices: readonly DeviceDescription[];
  readonly vcpus: number;
  readonly ramBlocks: Inventory["machine"]["ramBlocks"];
  readonly disks: readonly DiskLook[];
  /** QEMU's own migration blockers. */
  readonly blockers: readonly string[];
  /** Ids of the block jobs that are not vmferry's. */
  readonly jobs: readonly string[];
}

/**
 * The changes of the source's machine since the migration began, a message each: the destination's machine
 * matches the earlier one. Pure.
 */
export function changesBetween(before: MachineLook, now: MachineLook): string[] {
  const changes = [
    ...added(before, now).map((device) => `device ${named(device, now.devices)} was added`),
    ...added(now, before).map((device) => `device ${named(device, before.devices)} was removed`),
    ...diskChanges(before.disks, now.disks),
  ];
  if (before.vcpus !== now.vcpus) {
    changes.push(`the number of vCPUs changed from ${before.vcpus} to ${now.vcpus}`);
  }
  const blocks = (look: MachineLook) =>
    new Map(
      look.ramBlocks.filter(({ name }) => !name.includes("/"))
        .map(({ name, usedBytes }) => [name, usedBytes]),
    );
  const [here, then] = [blocks(now), blocks(before)];
  for (const [name, bytes] of here) {
    if (!then.has(name)) changes.push(`RAM block ${name} of ${bytes} bytes was added`);
  }
  for (const name of then.keys()) {
    if (!here.has(name)) changes.push(`RAM block ${name} was removed`);
  }
  for (const job of now.jobs.filter((id) => !before.jobs.includes(id))) {
    changes.push(`block job "${job}" was started`);
  }
  for (const reason of now.blockers.filter((text) => !before.blockers.includes(text))) {
    changes.push(`QEMU can no longer migrate the guest: ${reason}`);
  }
  return changes;
}

/** New devices, without those on the buses of another new device. */
function added(before: MachineLook, now: MachineLook): DeviceDescription[] {
  const known = new Set(before.devices.map(identity));
  const fresh = new Set<number>();
  return now.devices.filter((device, i) => {
    if (known.has(identity(device))) return false;
    fresh.add(i);
    return !fresh.has(device.parent);
  });
}

function identity({ key, type, id }: DeviceDescription): string {
  return `${key} ${type} ${id}`;
}

function diskChanges(before: readonly DiskLook[], now: readonly DiskLook[]): string[] {
  return now.flatMap((disk) => {
    const then = before.find(({ name }) => name === disk.name);
    // A disk that was added or removed with its device is reported by the device.
    if (!then || disk.readOnly && then.readOnly) return [];
    if (then.empty !== disk.empty) {
      return [`disk ${disk.name} ${disk.empty ? "lost its medium" : "was given a medium"}`];
    }
    if (then.sizeBytes === disk.sizeBytes) return [];
    return [
      `disk ${disk.name} was resized from ${then.sizeBytes} to ${disk.sizeBytes} bytes`,
    ];
  });
}
