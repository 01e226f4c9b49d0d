import { listDevices } from "../../../src/migrate/machine/device_list.ts";
import type { QtreeBus, QtreeDevice } from "../../../src/qmp/mod.ts";
import type { DeviceDescription, Inventory } from "../../../src/rpc/mod.ts";

/** A device of a tree, with its buses as `[name, type, devices]`. */
export function device(
  type: string,
  id: string,
  properties: Record<string, string> = {},
  ...buses: QtreeBus[]
): QtreeDevice {
  return { type, id, properties, usbPort: undefined, buses };
}

export function bus(name: string, type: string, ...devices: QtreeDevice[]): QtreeBus {
  // As QEMU prints them: the newest first.
  return { name, type, devices: devices.reverse() };
}

/** A virtio PCI device with its part on the bus of its own. */
export function virtio(
  kind: string,
  id: string,
  addr: string,
  properties: Record<string, string> = {},
  ...buses: QtreeBus[]
): QtreeDevice {
  const part = device(`virtio-${kind}-device`, "", properties, ...buses);
  return device(`virtio-${kind}-pci`, id, { addr }, bus("virtio-bus", "virtio-pci-bus", part));
}

/** The devices of a machine with these on its PCI bus. */
export function onPci(...devices: QtreeDevice[]): DeviceDescription[] {
  const host = device("q35-pcihost", "", {}, bus("pcie.0", "PCIE", ...devices));
  return listDevices([bus("main-system-bus", "System", host)]);
}

type Machine = Inventory["machine"];

/** A machine with the usual values, but for these. */
export function inventory(
  devices: readonly DeviceDescription[] = [],
  more: Partial<Machine> = {},
  cpu: Partial<Machine["cpu"]> = {},
): Inventory {
  return {
    devices,
    machine: {
      version: "7.2.22",
      type: "pc-q35-7.2",
      target: "x86_64",
      accelerator: "kvm",
      properties: { smm: "auto", hpet: "on" },
      ramBlocks: [{ name: "pc.ram", usedBytes: 1 << 27, maxBytes: 1 << 27 }],
      objects: [],
      nicQueues: {},
      tpms: [],
      media: [],
      ...more,
      cpu: {
        type: "qemu64-x86_64-cpu",
        present: 1,
        possible: 1,
        words: { "7.0.EBX": 0b0011 },
        switches: { "hv-relaxed": "false", "pmu": "false" },
        identity: { family: "15" },
        ...cpu,
      },
    },
  };
}
