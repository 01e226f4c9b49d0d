/**
 * Everything that QMP and HMP say of a machine's devices and what is behind them, read once. The other
 * modules of this directory are pure functions of it.
 *
 * @module
 */
import {
  type BlockGraph,
  type Commands,
  type Disk,
  hmp,
  listDisks,
  optional,
  parseQtree,
  type QmpClient,
  type QtreeBus,
  queryBlockGraph,
  type RawBlock,
} from "../../qmp/mod.ts";

/** A device of the user's: of -device, or of device_add. */
export interface Peripheral {
  /** QOM path, such as `/machine/peripheral/vd0`. */
  readonly path: string;
  /** Empty without one. */
  readonly id: string;
  /** QOM type, such as `virtio-blk-pci`. */
  readonly type: string;
  /** It was added after the machine had been made. */
  readonly hotplugged: boolean;
  /** Keys of -device that fix where it is: `addr`, `slot`, `port`. */
  readonly place: Readonly<Record<string, string>>;
}

/** A property that an option may set. */
export interface Property {
  readonly name: string;
  /** Such as `bool`, `str`, `link<iothread>`. */
  readonly type: string;
  /** `undefined` where QEMU does not say it. */
  readonly initial: unknown;
  readonly value: unknown;
  /** Its digits, for a number that JavaScript cannot hold. */
  readonly digits?: string;
}

/** A device that was added, with its properties. */
export interface AddedDevice extends Peripheral {
  /** QOM path of its bus; empty for a device on none, such as a DIMM. */
  readonly bus: string;
  /** Port of a USB device. */
  readonly usbPort: string | undefined;
  readonly properties: readonly Property[];
  /** Topology of a vCPU, such as `socket-id`; `null` for other devices. */
  readonly topology: Readonly<Record<string, number>> | null;
}

/** An object of the user's, such as an iothread. */
export interface MachineObject {
  readonly id: string;
  readonly type: string;
  /** Its properties by name. */
  readonly properties: Readonly<Record<string, unknown>>;
}

/** The machine. */
export interface MachineState {
  /** QEMU's version, such as `10.0.2`. */
  readonly version: string;
  readonly machineType: string;
  readonly devices: readonly Peripheral[];
  /** Controllers before the devices on their buses, else in the order in which they were added. */
  readonly added: readonly AddedDevice[];
  /** vCPUs: at the start (-smp), and now. */
  readonly vcpus: { readonly initial: number; readonly present: number };
  readonly objects: readonly MachineObject[];
  /** Texts of `info network` and `info usernet`. */
  readonly network: string;
  readonly usernet: string;
  readonly chardevs: Commands["query-chardev"]["answer"];
  readonly blocks: readonly RawBlock[];
  readonly disks: readonly Disk[];
  readonly graph: BlockGraph;
}

/** Reads it. */
export async function readMachine(qmp: QmpClient): Promise<MachineState> {
  const [version, type, lists, objects, network, usernet, tree] = await Promise.all([
    qmp.execute("query-version", {}),
    qmp.execute("qom-get", { path: "/machine", property: "type" }),
    Promise.all(
      ["/machine/peripheral", "/machine/peripheral-anon"].map((path) => childrenOf(qmp, path)),
    ),
    readObjects(qmp),
    hmp(qmp, "info network"),
    hmp(qmp, "info usernet"),
    hmp(qmp, "info qtree"),
  ]);
  const [chardevs, blocks, disks, graph, cpus, slots] = await Promise.all([
    qmp.execute("query-chardev", {}),
    qmp.execute("query-block", {}),
    listDisks(qmp),
    queryBlockGraph(qmp),
    qmp.execute("query-cpus-fast", {}),
    optional(qmp.execute("query-hotpluggable-cpus", {})),
  ]);
  const order = orderOf(parseQtree(tree));
  const devices = await Promise.all(
    lists.flat().map(async ({ path, name, type }) => {
      const id = path.startsWith("/machine/peripheral/") ? name : "";
      const place = order.get(id)?.place ?? await memoryPlace(qmp, path, type);
      const hotplugged = await get(qmp, path, "hotplugged") === true;
      return { path, id, type, hotplugged, place };
    }),
  );
  const added = await Promise.all(
    devices.filter(({ hotplugged }) => hotplugged).map(async (device) => ({
      ...device,
      bus: String(await get(qmp, device.path, "parent_bus") ?? ""),
      usbPort: order.get(device.id)?.usbPort,
      topology: slots?.find((slot) => slot["qom-path"] === device.path)?.props ?? null,
      properties: await readProperties(qmp, device),
    })),
  );
  const smp = await get(qmp, "/machine", "smp") as { cpus?: number } | undefined;
  const plugged = added.filter(({ topology }) => topology !== null).length;
  const { major, minor, micro } = version.qemu;
  return {
    version: `${major}.${minor}.${micro}`,
    machineType: String(type).replace(/-machine$/, ""),
    devices,
    added: sorted(added, (device) => order.get(device.id)?.at ?? order.size),
    vcpus: { initial: smp?.cpus ?? cpus.length - plugged, present: cpus.length },
    objects,
    ...{ network, usernet, chardevs, blocks, disks, graph },
  };
}

async function readObjects(qmp: QmpClient): Promise<MachineObject[]> {
  const children = await childrenOf(qmp, "/objects");
  return await Promise.all(children.map(async ({ path, name, type }) => {
    const members = (await optional(qmp.execute("qom-list", { path }))) ?? [];
    const names = members.filter((m) => m.name !== "type" && !m.type.startsWith("child<"))
      .map((m) => m.name);
    // A secret's data is no business of a description.
    const wanted = /^(secret|tls-)/.test(type) ? [] : names;
    const values = await Promise.all(wanted.map((property) => get(qmp, path, property)));
    return { id: name, type, properties: Object.fromEntries(wanted.map((n, i) => [n, values[i]])) };
  }));
}

async function readProperties(qmp: QmpClient, { path, type }: Peripheral): Promise<Property[]> {
  const list = await optional(qmp.execute("device-list-properties", { typename: type })) ?? [];
  return await Promise.all(
    list.filter((property) => !property.type.startsWith("child<")).map(async (property) => {
      const value = await get(qmp, path, property.name);
      const found = {
        name: property.name,
        type: property.type,
        initial: property["default-value"],
        value,
      };
      const isExact = typeof value !== "number" || Number.isSafeInteger(value);
      if (isExact || value === found.initial) return found;
      // HMP prints the digits, which JSON.parse loses.
      return { ...found, digits: (await hmp(qmp, `qom-get ${path} ${property.name}`)).trim() };
    }),
  );
}

interface Place {
  /** Position in the order of creation. */
  readonly at: number;
  readonly usbPort: string | undefined;
  readonly place: Readonly<Record<string, string>>;
}

/** QEMU lists the newest device of a bus first. */
function orderOf(roots: readonly QtreeBus[]): Map<string, Place> {
  const places = new Map<string, Place>();
  const walk = (buses: readonly QtreeBus[]) => {
    for (const bus of buses) {
      for (const device of [...bus.devices].reverse()) {
        const { id, usbPort, properties } = device;
        const place = usbPort !== undefined
          ? { port: usbPort }
          : /^(PCIE?|CXL)$/.test(bus.type) && properties["addr"] !== undefined
          ? { addr: properties["addr"] }
          : {};
        if (id !== "") places.set(id, { at: places.size, usbPort, place });
        walk(device.buses);
      }
    }
  };
  walk(roots);
  return places;
}

/** A DIMM is on no bus; it has a slot and an address in RAM. */
async function memoryPlace(
  qmp: QmpClient,
  path: string,
  type: string,
): Promise<Record<string, string>> {
  if (!/^(pc-dimm|nvdimm)$/.test(type)) return {};
  const [slot, addr] = await Promise.all([get(qmp, path, "slot"), get(qmp, path, "addr")]);
  return { slot: String(slot), addr: String(addr) };
}

function sorted(added: readonly AddedDevice[], place: (d: AddedDevice) => number): AddedDevice[] {
  const depth = (device: AddedDevice): number => {
    const above = added.find(({ path }) => device.bus.startsWith(`${path}/`));
    return above ? depth(above) + 1 : 0;
  };
  const slot = (device: AddedDevice) =>
    Number(device.properties.find(({ name }) => name === "slot")?.value ?? 0);
  return [...added].sort((a, b) =>
    depth(a) - depth(b) || place(a) - place(b) || slot(a) - slot(b) || (a.path < b.path ? -1 : 1)
  );
}

interface Child {
  readonly path: string;
  readonly name: string;
  readonly type: string;
}

async function childrenOf(qmp: QmpClient, path: string): Promise<Child[]> {
  const members = await optional(qmp.execute("qom-list", { path })) ?? [];
  return members.flatMap((member) => {
    const type = /^child<(.+)>$/.exec(member.type)?.[1];
    return type === undefined ? [] : [{ path: `${path}/${member.name}`, name: member.name, type }];
  });
}

async function get(qmp: QmpClient, path: string, property: string): Promise<unknown> {
  return await optional(qmp.execute("qom-get", { path, property }));
}
