/**
 * -device options for devices that were added while the guest ran. Pure.
 *
 * @module
 */
import { keyValues } from "./given.ts";
import type { AddedDevice, Property } from "./machine_state.ts";

/** Devices that belong to this host, or whose data another process keeps. */
const OF_THE_HOST =
  /^(vfio-|vhost-|usb-host$|usb-redir$|ivshmem|virtio-pmem|scsi-(block|generic)$|.*-passthru$|vfio_)/;

/** Read from the image or from other devices; never set. */
const DERIVED: ReadonlySet<string> = new Set([
  ...["cyls", "heads", "secs", "lcyls", "lheads", "lsecs", "bios-chs-trans"],
  ...["bus", "id", "addr", "romfile", "port", "attached"],
]);
/** Properties without a known default that are worth setting when they are numbers. */
const NUMBERS: ReadonlySet<string> = new Set([
  ...["bootindex", "requested-size", "block-size", "label-size"],
]);

/** A -device option, or the reason why there is none. */
export type DeviceOption =
  | { readonly value: string; readonly problem?: undefined }
  | { readonly value?: undefined; readonly problem: string };

/**
 * The option that makes such a device again: its bus and address, and every property that is not at its
 * default.
 *
 * @param backends names of drives, by the name that the device has for them now; empty for no medium.
 * @param extra more keys of it.
 */
export function deviceOption(
  device: AddedDevice,
  backends: ReadonlyMap<string, string> = new Map(),
  extra: readonly (readonly [key: string, value: string])[] = [],
): DeviceOption {
  if (OF_THE_HOST.test(device.type)) {
    const problem =
      `device ${namedDevice(device)} was added while the guest ran, and it belongs to ` +
      "this host: remove it from the guest (device_del)";
    return { problem };
  }
  const head: [string, string][] = [["", device.type]];
  if (device.id !== "") head.push(["id", device.id]);
  if (device.topology) {
    const places = Object.entries(device.topology).filter(([key]) => key !== "node-id");
    // -cpu sets the features of every vCPU.
    return { value: keyValues([...head, ...places.map(([k, v]) => [k, String(v)] as const)]) };
  }
  const bus = device.bus.slice(device.bus.lastIndexOf("/") + 1);
  if (bus !== "") head.push(["bus", bus]);
  const own = device.properties.filter((property) => isWorthSetting(device, property))
    .map((property) => [property.name, typed(property, backends)] as const)
    .filter(([, value]) => value !== "");
  const values = [...addressOf(device), ...own, ...extra];
  if (values.some(([, value]) => Array.isArray(value))) return { value: json(head, values) };
  return { value: keyValues([...head, ...values.map(([k, v]) => [k, textOf(v)] as const)]) };
}

/** For a value that `key=value` cannot hold, such as a list. */
function json(
  head: readonly (readonly [string, string])[],
  values: readonly (readonly [string, unknown])[],
) {
  const named = head.map(([key, value]) => [key || "driver", value] as const);
  const members = [...named, ...values].map(([key, value]) =>
    `${JSON.stringify(key)}:${value instanceof Digits ? value.digits : JSON.stringify(value)}`
  );
  return `{${members.join(",")}}`;
}

/** A number with more digits than JavaScript's. */
class Digits {
  constructor(readonly digits: string) {}
  toString(): string {
    return this.digits;
  }
}

/** A name for messages, such as `virtio-net-pci (id net1)`. */
export function namedDevice({ type, id, path }: Pick<AddedDevice, "type" | "id" | "path">): string {
  return `${type} (${id === "" ? path : `id ${id}`})`;
}

function addressOf(device: AddedDevice): [string, string][] {
  if (device.usbPort !== undefined) return [["port", device.usbPort]];
  if (device.place["addr"] !== undefined && device.bus !== "") {
    return [["addr", device.place["addr"]]];
  }
  const addr = device.properties.find(({ name }) => name === "addr");
  if (typeof addr?.value !== "number" || addr.value < 0) return [];
  // A DIMM is on no bus, and its address is one in RAM.
  if (device.bus === "") return [["addr", addr.digits ?? String(addr.value)]];
  return [["addr", `${(addr.value >> 3).toString(16).padStart(2, "0")}.${addr.value & 7}`]];
}

function isWorthSetting(device: AddedDevice, { name, type, initial, value }: Property): boolean {
  if (DERIVED.has(name) || value === undefined || value === null) return false;
  // Its backend decides, and QEMU refuses to have it set.
  if (name === "size" && /dimm|virtio-mem/.test(device.type)) return false;
  // A part that the device makes by itself.
  if (type.startsWith("link<") && String(value).startsWith(`${device.path}/`)) return false;
  if (initial !== undefined) return !same(value, initial);
  if (typeof value === "string") {
    return type === "str" || type.startsWith("link<") ? value !== "" : false;
  }
  if (Array.isArray(value)) return value.length > 0;
  return NUMBERS.has(name) && Number(value) >= 0;
}

function same(a: unknown, b: unknown): boolean {
  if (a === b || JSON.stringify(a) === JSON.stringify(b)) return true;
  // An unsigned property may have -1 as its default.
  if (typeof a !== "number" || typeof b !== "number") return false;
  const [low, high] = a < b ? [a, b] : [b, a];
  return low < 0 && (low + 2 ** 32 === high || low + 2 ** 64 === high);
}

function typed({ name, type, value, digits }: Property, backends: ReadonlyMap<string, string>) {
  if (digits !== undefined) return new Digits(digits);
  if (name === "drive") return backends.get(String(value)) ?? value;
  if (type.startsWith("link<")) {
    const path = String(value);
    return /^\/(objects|machine\/peripheral)\/[^/]+$/.test(path)
      ? path.slice(path.lastIndexOf("/") + 1)
      : path;
  }
  return value;
}

function textOf(value: unknown): string {
  if (value === true) return "on";
  return value === false ? "off" : String(value);
}
