/**
 * The device tree as HMP `info qtree` prints it (since QEMU 0.12): every bus and device with all qdev
 * properties, in one command. QMP's `qom-get` needs a call for each property, which takes seconds for
 * a machine with many devices, because QEMU reads QMP byte by byte. Pure.
 *
 *     bus: main-system-bus
 *       type System
 *       dev: q35-pcihost, id ""
 *         MCFG = 2952790016 (0xb0000000)
 *         bus: pcie.0
 *           type PCIE
 *           dev: virtio-blk-pci, id "vd0"
 *             addr = 03.0
 *             class SCSI controller, addr 00:03.0, pci id 1af4:1001 (sub 1af4:0002)
 *
 * @module
 */

/** A device of the tree. */
export interface QtreeDevice {
  /** QOM type, such as `virtio-blk-pci`. */
  readonly type: string;
  /** As given by `id=`; empty without one. */
  readonly id: string;
  /** qdev properties: strings without their quotes, numbers without their hexadecimal form. */
  readonly properties: Readonly<Record<string, string>>;
  /** Port of a USB device on its hub, such as `1` or `1.2`; `undefined` for any other device. */
  readonly usbPort: string | undefined;
  /** The buses that it provides. */
  readonly buses: readonly QtreeBus[];
}

/** A bus and its devices, in QEMU's order: the newest first. */
export interface QtreeBus {
  /** Such as `pcie.0`. */
  readonly name: string;
  /** QOM type, such as `PCIE`. */
  readonly type: string;
  /** The devices on it. */
  readonly devices: readonly QtreeDevice[];
}

interface OpenDevice extends QtreeDevice {
  readonly indent: number;
  usbPort: string | undefined;
  readonly properties: Record<string, string>;
  readonly buses: OpenBus[];
}

interface OpenBus extends QtreeBus {
  readonly indent: number;
  type: string;
  readonly devices: OpenDevice[];
}

const BUS = /^bus: (.*)$/;
const TYPE = /^type (.*)$/;
const DEVICE = /^dev: (.*), id "(.*)"$/;
const PROPERTY = /^([\w.[\]-]+) = (.*)$/;
const USB = /^addr [\d.]+, port ([\d.]+), speed /;

/**
 * Parses the text of `info qtree`. Lines of other kinds (regions, GPIOs) are skipped. Never throws.
 *
 * @returns the buses without a parent; in practice one, `main-system-bus`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const [root] = parseQtree(`bus: main-system-bus
 *   type System
 *   dev: q35-pcihost, id ""
 *     MCFG = 2952790016 (0xb0000000)
 *     bus: pcie.0
 *       type PCIE
 *       dev: virtio-blk-pci, id "vd0"
 *         addr = 03.0
 * `);
 * const host = root!.devices[0]!;
 * assertEquals([host.type, host.properties.MCFG], ["q35-pcihost", "2952790016"]);
 * const disk = host.buses[0]!.devices[0]!;
 * assertEquals([disk.id, disk.properties.addr], ["vd0", "03.0"]);
 * ```
 */
export function parseQtree(text: string): QtreeBus[] {
  const roots: OpenBus[] = [];
  const open: (OpenBus | OpenDevice)[] = [];
  for (const line of text.split(/\r?\n/)) {
    const content = line.trimStart();
    const indent = line.length - content.length;
    while (open.length > 0 && open.at(-1)!.indent >= indent) open.pop();
    const parent = open.at(-1);
    const bus = BUS.exec(content);
    const device = DEVICE.exec(content);
    if (bus) {
      const made: OpenBus = { indent, name: bus[1]!, type: "", devices: [] };
      if (parent && "buses" in parent) parent.buses.push(made);
      else if (!parent) roots.push(made);
      open.push(made);
    } else if (device && parent && "devices" in parent) {
      const [, type, id] = device;
      const made = {
        indent,
        type: type!,
        id: id!,
        properties: {},
        usbPort: undefined,
        buses: [],
      } as OpenDevice;
      parent.devices.push(made);
      open.push(made);
    } else if (parent && "devices" in parent) {
      parent.type = TYPE.exec(content)?.[1] ?? parent.type;
    } else if (parent) {
      const property = PROPERTY.exec(content);
      if (property) parent.properties[property[1]!] = plain(property[2]!);
      else parent.usbPort = USB.exec(content)?.[1] ?? parent.usbPort;
    }
  }
  return roots;
}

/** `"text"` without its quotes, `262144 (0x40000)` without the part in brackets. */
function plain(value: string): string {
  const quoted = /^"(.*)"$/.exec(value);
  if (quoted) return quoted[1]!;
  return /^(-?\d+) \(.*\)$/.exec(value)?.[1] ?? value;
}
