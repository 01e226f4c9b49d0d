import type { DeviceDescription, Inventory, MachineDescription } from "../../rpc/mod.ts";
import { compareCpus, type FeatureNames } from "./compare_cpus.ts";
import { compareDevices, named } from "./compare_devices.ts";
import type { Difference } from "./rules.ts";

/** Machine properties that affect neither the guest nor the migration stream. */
const HOST_SWITCHES: readonly string[] = [
  ...["dump-guest-core", "mem-merge", "suppress-vmdesc", "aux-ram-share", "fd-bootchk", "graphics"],
  ...["memory-encryption", "hugepages", "usb"],
];

/** Machine types whose state does not cross between QEMU versions (docs/qemu.md). */
const NOT_ACROSS = /^(virt-|pseries-|virt$|pseries$)/;
const TARGETS: readonly string[] = ["aarch64", "arm", "ppc64", "riscv64", "riscv32"];

/**
 * The differences between both machines, each with its rule. Pure.
 *
 * @param names of the CPU features of both sides; needed only where {@link wordsDiffer}.
 */
export function compareMachines(
  source: Inventory,
  destination: Inventory,
  names?: FeatureNames,
): Difference[] {
  const [a, b] = [source.machine, destination.machine];
  const differences = compareAccelerators(a, b);
  const sameAccelerator = differences.length === 0;
  return [
    ...differences,
    ...compareVersions(a, b),
    // With another accelerator most features differ; the accelerator alone is reported.
    ...compareCpus(a.cpu, b.cpu, names)
      .filter(({ rule }) => sameAccelerator || rule === "cpu-count"),
    ...compareSwitches(a, b),
    ...compareDevices(
      source.devices.filter((device) => sameAccelerator || !isAccelerators(device.type)),
      destination.devices.filter((device) => sameAccelerator || !isAccelerators(device.type)),
    ),
    ...compareObjects(source, destination),
    ...withoutOwners(compareRamBlocks(a, b), source, destination),
    ...compareQueues(a, b),
    ...compareTpms(a, b),
    ...compareMedia(source, destination),
  ];
}

/** Devices of the source whose data or state cannot cross to any destination. Pure. */
export function staysBehindIn({ devices }: Inventory): Difference[] {
  // The virtio part of such a device has another type, and would be reported twice.
  return devices.filter((device) => !device.bus.startsWith("virtio-")).flatMap(
    (device): Difference[] => {
      if (OUTSIDE.test(device.type)) {
        const message =
          `device ${named(device, devices)} keeps its data outside QEMU's block layer: ` +
          "vmferry cannot copy it";
        return [{ rule: "outside-data", message }];
      }
      if (device.type === "usb-host") {
        const message = `device ${named(device, devices)} belongs to the host: the guest loses it`;
        return [{ rule: "host-device", message }];
      }
      return [];
    },
  );
}

/** Devices whose data is kept by another process or by the host. */
const OUTSIDE =
  /^(vhost-user-(blk|scsi|fs)|vhost-scsi|vhost-vdpa-device|virtio-pmem|vfio-user)|^vfio-(pci|ap|ccw)/;

/** Whether only one of the accelerators has such a device. */
function isAccelerators(type: string): boolean {
  return /^kvm|^kvmvapic$|^kvmclock$/.test(type);
}

function compareAccelerators(a: MachineDescription, b: MachineDescription): Difference[] {
  if (a.accelerator === b.accelerator) return [];
  const message =
    `the source runs the guest with ${a.accelerator.toUpperCase()}, the destination ` +
    `with ${b.accelerator.toUpperCase()}`;
  return [{ rule: "accelerator", message }];
}

function compareVersions(a: MachineDescription, b: MachineDescription): Difference[] {
  const [from, to] = [a.version, b.version].map((v) => v.split(".").slice(0, 2).map(Number));
  const order = (from![0]! - to![0]!) || (from![1]! - to![1]!);
  if (order === 0) return [];
  const differences: Difference[] = [];
  const versions = `from QEMU ${a.version} to ${b.version}`;
  if (TARGETS.includes(a.target) && NOT_ACROSS.test(a.type)) {
    const message =
      `machine ${a.type} (${a.target}) ${versions}: in tests such machines did not cross ` +
      "between versions";
    differences.push({ rule: "known-pair", message });
  }
  if (order > 0) {
    const message = `${versions}: the destination's QEMU is older than the source's`;
    differences.push({ rule: "older-qemu", message });
  }
  return differences;
}

function compareSwitches(a: MachineDescription, b: MachineDescription): Difference[] {
  return Object.entries(a.properties).flatMap(([name, value]) => {
    const there = b.properties[name];
    const isOpen = there === undefined || value === "auto" || there === "auto";
    if (isOpen || value === there || HOST_SWITCHES.includes(name)) return [];
    const what = /^[\w-]+$/.test(name) ? `-machine ${name}` : name.replace(/^memory\./, "-m ");
    const message = `${what} is ${value} at the source and ${there} at the destination`;
    return [{ rule: "machine-property", message } as const];
  });
}

/** Compares devices on no bus, such as vmgenid, by type and number. */
function compareObjects(source: Inventory, destination: Inventory): Difference[] {
  if (!source.machine.objects || !destination.machine.objects) return [];
  const [here, there] = [offBus(source), offBus(destination)];
  return [...new Set([...here.keys(), ...there.keys()])].flatMap((type) => {
    const [a, b] = [here.get(type) ?? 0, there.get(type) ?? 0];
    if (a === b) return [];
    const message = `the source has ${a} ${type}, the destination ${b}`;
    return [{ rule: "device", message } as const];
  });
}

function offBus({ machine, devices }: Inventory): Map<string, number> {
  const onBus = new Set(devices.map(({ type }) => type));
  const counts = new Map<string, number>();
  for (const { type } of machine.objects ?? []) {
    if (!onBus.has(type)) counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return counts;
}

interface BlockDifference extends Difference {
  /** The RAM block. */
  readonly block: string;
}

function compareRamBlocks(a: MachineDescription, b: MachineDescription): BlockDifference[] {
  const rule = "ram-block";
  const there = new Map(b.ramBlocks.map((block) => [block.name, block]));
  const here = new Map(a.ramBlocks.map((block) => [block.name, block]));
  const differences: BlockDifference[] = [];
  for (const [name, block] of here) {
    const other = there.get(name);
    // QEMU resizes these when it loads the stream, up to their maximum.
    const size = isResizable(name) ? "maxBytes" : "usedBytes";
    if (!other) {
      const message = `the destination has no RAM block ${name} (${block[size]} bytes)`;
      differences.push({ rule, block: name, message });
    } else if (other[size] !== block[size]) {
      const message =
        `RAM block ${name} has ${block[size]} bytes at the source and ${other[size]} ` +
        "bytes at the destination";
      differences.push({ rule, block: name, message });
    }
  }
  for (const [name, block] of there) {
    if (here.has(name) || isResizable(name)) continue;
    const message = `the source has no RAM block ${name}, the destination has one of ` +
      `${block.usedBytes} bytes`;
    differences.push({ rule, block: name, message });
  }
  return differences;
}

function isResizable(name: string): boolean {
  return name.startsWith("/rom@");
}

/** Leaves out blocks of a device that only one side has, such as its ROM: the device itself is reported. */
function withoutOwners(
  blocks: readonly BlockDifference[],
  source: Inventory,
  destination: Inventory,
): Difference[] {
  const typeAt = ({ devices }: Inventory, address: string) =>
    devices.find((device) => device.address === address)?.type;
  return blocks.filter(({ block }) => {
    const [address, rest] = block.split("/");
    if (rest === undefined || address === "") return true;
    const [here, there] = [typeAt(source, address!), typeAt(destination, address!)];
    return here === there;
  }).map(({ rule, message }) => ({ rule, message }));
}

function compareQueues(a: MachineDescription, b: MachineDescription): Difference[] {
  return Object.entries(a.nicQueues).flatMap(([nic, queues]) => {
    const there = b.nicQueues[nic];
    if (there === undefined || there === queues) return [];
    const message =
      `NIC ${nic} has ${queues} queue pairs at the source and ${there} at the destination`;
    return [{ rule: "nic-queues", message } as const];
  });
}

function compareTpms(a: MachineDescription, b: MachineDescription): Difference[] {
  const [here, there] = [a.tpms, b.tpms].map((tpms) => [...tpms].sort().join(", ") || "none");
  if (here === there) return [];
  const message = `TPM at the source: ${here}; at the destination: ${there}`;
  return [{ rule: "tpm", message }];
}

/** A drive without an id is named by its node, which may differ between the sides: its place decides. */
function compareMedia(source: Inventory, destination: Inventory): Difference[] {
  const differences = source.machine.media.flatMap(({ name, sizeBytes }) => {
    const other = mediumOf(name, destination) ?? mediumAt(placeOf(name, source), destination);
    // A missing drive is reported as a missing device.
    return other === undefined ? [] : mediumDifference(name, sizeBytes, other.sizeBytes);
  });
  // A drive without an id and without a medium has no name, so it is not among the media.
  const atEmpty = destination.machine.media.flatMap(({ name, sizeBytes }) => {
    if (mediumOf(name, source)) return [];
    const place = placeOf(name, destination);
    if (mediumAt(place, source)?.sizeBytes !== null) return [];
    return mediumDifference(name, null, sizeBytes);
  });
  return [...differences, ...atEmpty];
}

function mediumDifference(name: string, here: number | null, there: number | null): Difference[] {
  if (here === there) return [];
  const words = (bytes: number | null) =>
    bytes === null ? "no medium" : `a medium of ${bytes} bytes`;
  const message = `drive ${name} holds ${words(here)} at the source and ${words(there)} at the ` +
    "destination";
  return [{ rule: "medium", message }];
}

type Medium = Pick<MachineDescription["media"][number], "sizeBytes">;

function mediumOf(name: string, { machine }: Inventory): Medium | undefined {
  return machine.media.find((medium) => medium.name === name);
}

/** The device without an id that has this drive. */
function placeOf(drive: string, { devices }: Inventory): DeviceDescription | undefined {
  return devices.find(({ id, properties }) => id === "" && properties["drive"] === drive);
}

/** The medium of the device at that place; `undefined` without such a device. */
function mediumAt(
  place: DeviceDescription | undefined,
  inventory: Inventory,
): Medium | undefined {
  const device = inventory.devices.find(({ key, type }) =>
    key === place?.key && type === place.type
  );
  const drive = device?.properties["drive"];
  if (drive === undefined) return undefined;
  return drive === "" ? { sizeBytes: null } : mediumOf(drive, inventory);
}
