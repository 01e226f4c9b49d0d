import type { DeviceDescription } from "../../rpc/mod.ts";
import { ruleOf } from "./device_properties.ts";
import type { Difference } from "./rules.ts";

type Devices = readonly DeviceDescription[];

/**
 * The differences between both device trees. Devices below a device without a counterpart are not
 * listed: they come and go with it. Pure.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { compareDevices } from "./compare_devices.ts";
 *
 * const net = { parent: -1, key: "/0/03.0", bus: "PCIE", type: "virtio-net-pci", id: "net0" };
 * const device = { ...net, address: "0000:00:03.0", properties: {} };
 * const [difference] = compareDevices([device], []);
 * assertEquals(difference?.rule, "device");
 * ```
 */
export function compareDevices(source: Devices, destination: Devices): Difference[] {
  const there = new Map(destination.map((device) => [device.key, device]));
  const here = new Map(source.map((device) => [device.key, device]));
  const missing = unmatched(source, (device) => there.get(device.key));
  const extra = unmatched(destination, (device) => here.get(device.key));
  const moved = pairMoved(missing, extra);
  const gone = new Set([...moved.keys(), ...moved.values()]);
  const differences: Difference[] = [];
  for (const [from, to] of moved) {
    differences.push({ rule: "device", message: movedWords(from, to) });
  }
  for (const device of missing.filter((d) => !gone.has(d))) {
    const other = there.get(device.key);
    if (other) gone.add(other);
    differences.push({ rule: "device", message: missingWords(device, source, other, destination) });
  }
  for (const device of extra.filter((d) => !gone.has(d))) {
    differences.push({
      rule: "device",
      message: `the source has no device ${named(device, destination)}, the destination has it`,
    });
  }
  for (const device of source) {
    const other = there.get(device.key);
    if (other?.type === device.type) {
      differences.push(...compareProperties(device, source, other));
    }
  }
  return differences;
}

/** Devices without a counterpart of the same type at the same place, without devices behind another one. */
function unmatched(
  devices: Devices,
  counterpart: (device: DeviceDescription) => DeviceDescription | undefined,
): DeviceDescription[] {
  const lost = new Set<number>();
  return devices.filter((device, i) => {
    if (lost.has(device.parent)) {
      lost.add(i);
      return false;
    }
    if (counterpart(device)?.type === device.type) return false;
    lost.add(i);
    return true;
  });
}

/** Pairs of a device and its counterpart at another address: of the same type and id, and the only one. */
function pairMoved(missing: Devices, extra: Devices): Map<DeviceDescription, DeviceDescription> {
  const pairs = new Map<DeviceDescription, DeviceDescription>();
  for (const device of missing) {
    if (device.address === "") continue;
    const same = (list: Devices) =>
      list.filter((d) => d.type === device.type && d.id === device.id && d.address !== "");
    const [to, ...others] = same(extra);
    if (to && others.length === 0 && same(missing).length === 1) pairs.set(device, to);
  }
  return pairs;
}

function compareProperties(
  device: DeviceDescription,
  devices: Devices,
  other: DeviceDescription,
): Difference[] {
  const differences: Difference[] = [];
  for (const [name, value] of Object.entries(device.properties)) {
    const there = other.properties[name];
    // Only one of the two QEMU versions has this property.
    if (there === undefined) continue;
    const rule = ruleOf(name, device.bus, value, there);
    if (rule === undefined) continue;
    const message =
      `device ${named(device, devices)} has ${name}=${shown(value)} at the source and ` +
      `${name}=${shown(there)} at the destination`;
    differences.push({ rule, message });
  }
  return differences;
}

function movedWords(from: DeviceDescription, to: DeviceDescription): string {
  const id = from.id === "" ? "" : ` (id ${from.id})`;
  return `device ${from.type}${id} is at ${from.address} at the source and at ${to.address} at the ` +
    "destination";
}

function missingWords(
  device: DeviceDescription,
  devices: Devices,
  other: DeviceDescription | undefined,
  others: Devices,
): string {
  if (!other) return `the destination has no device ${named(device, devices)}`;
  return `device ${named(device, devices)} of the source is ${
    named(other, others)
  } at the destination`;
}

/** A name for messages, such as `virtio-net-pci at 0000:00:03.0 (id net1)`; a part is named by its device. */
export function named(device: DeviceDescription, devices: Devices): string {
  let owner = device;
  while (owner.address === "" && owner.id === "" && owner.parent >= 0) {
    owner = devices[owner.parent]!;
  }
  // Devices of a chip set have no address, and are named by their types.
  const isPart = owner !== device && device.bus.startsWith("virtio-");
  const shown = isPart ? owner : device;
  const at = shown.address === "" ? "" : ` at ${shown.address}`;
  return `${shown.type}${at}${shown.id === "" ? "" : ` (id ${shown.id})`}`;
}

function shown(value: string): string {
  return value === "" ? '""' : value;
}
