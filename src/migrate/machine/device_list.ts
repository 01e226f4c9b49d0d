/**
 * The device tree as a list, in which a device has the same key on both sides whatever the order of the
 * trees. Pure.
 *
 * @module
 */
import type { QtreeBus, QtreeDevice } from "../../qmp/mod.ts";
import type { DeviceDescription } from "../../rpc/mod.ts";

/** Most properties of a device, and most characters of a value, that a peer accepts. */
const MAX_PROPERTIES = 512;
const MAX_VALUE = 1024;

/** Flattens the tree; parents come before their devices. */
export function listDevices(roots: readonly QtreeBus[]): DeviceDescription[] {
  const devices: DeviceDescription[] = [];
  const keys = new Set<string>();
  const walk = (buses: readonly QtreeBus[], parent: number) => {
    // QEMU lists the newest device first, but an ordinal counts from the oldest.
    for (const [i, bus] of [...buses].reverse().entries()) {
      const ordinals = new Map<string, number>();
      for (const device of [...bus.devices].reverse()) {
        const type = sectionType(device.type);
        const ordinal = ordinals.get(type) ?? 0;
        ordinals.set(type, ordinal + 1);
        const above = parent < 0 ? undefined : devices[parent];
        const at = addressOf(device, bus, above);
        const local = at ?? `${type}${ordinal === 0 ? "" : `#${ordinal}`}`;
        let key = `${above?.key ?? ""}/${i}/${local}`;
        // No second device is expected at one address, but if there is one, it must not be lost.
        while (keys.has(key)) key += `/${type}`;
        keys.add(key);
        devices.push({
          parent,
          key,
          bus: bus.type,
          type,
          id: device.id,
          address: at === undefined ? "" : displayed(at, bus, above),
          properties: bounded(device.properties),
        });
        walk(device.buses, devices.length - 1);
      }
    }
  };
  walk(roots, -1);
  return devices;
}

/** KVM's interrupt controllers and timer have the same sections in the stream as QEMU's. */
function sectionType(type: string): string {
  return type.replace(/^(kvm|isa)-(?=(i8259|ioapic|pit|apic)$)/, "");
}

/** A device's address on its bus; `undefined` without one: its type and ordinal then make the key. */
function addressOf(
  { properties, usbPort }: QtreeDevice,
  { type }: QtreeBus,
  above: DeviceDescription | undefined,
): string | undefined {
  if (isPci(type)) return properties["addr"];
  if (type === "SCSI") {
    return `${properties["channel"]}:${properties["scsi-id"]}:${properties["lun"]}`;
  }
  if (type === "IDE") return properties["unit"];
  if (type === "usb-bus") return usbPort;
  if (type === "virtio-serial-bus") return properties["nr"];
  // `devno` is the requested number, `dev_id` the assigned one.
  if (type === "virtual-css-bus") return properties["dev_id"];
  return above === undefined ? undefined : properties["iobase"];
}

function isPci(type: string): boolean {
  return type === "PCI" || type === "PCIE" || type === "CXL";
}

/** PCI addresses as QEMU names RAM blocks and sections after them: `0000:00:02.0:00.0` behind a port. */
function displayed(at: string, { type, name }: QtreeBus, above: DeviceDescription | undefined) {
  if (isPci(type)) {
    if (above && isPci(above.bus)) return `${above.address}:${at}`;
    return name === "pcie.0" || name.startsWith("pci.0") ? `0000:00:${at}` : `${name}:${at}`;
  }
  if (type === "ISA") return `${name} I/O port 0x${Number(at).toString(16)}`;
  if (type === "SCSI") return `${name} ${at}`;
  if (type === "IDE") return `${name} unit ${at}`;
  if (type === "usb-bus") return `${name} port ${at}`;
  return `${name} ${at}`;
}

function bounded(properties: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(properties).slice(0, MAX_PROPERTIES)
      .map(([name, value]) => [name.slice(0, 256), value.slice(0, MAX_VALUE)]),
  );
}
