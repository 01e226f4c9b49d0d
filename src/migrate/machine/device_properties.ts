/**
 * The rule for a difference in a qdev property. Pure.
 *
 * @module
 */
import type { RuleName } from "./rules.ts";

/**
 * Properties that name a part of the host, derive from the host or change while the guest runs: neither
 * the guest nor the migration stream depends on them.
 */
const HOSTS: ReadonlySet<string> = new Set([
  // Back ends and their names.
  ...["drive", "netdev", "chardev", "tpmdev", "audiodev", "iothread", "iothread-vq-mapping", "rng"],
  ...["memdev", "hostdev", "host", "filename", "cryptodev", "display", "head", "pcap", "canbus"],
  ...["ebpf-rss-fds", "vhostfd", "wwpn", "hostbus", "hostaddr", "hostport", "fd"],
  // The option ROM's size decides, which is compared as romsize and as a RAM block.
  ...["romfile", "rombar"],
  // How the host handles errors and counts.
  ...["rerror", "werror", "account-invalid", "account-failed", "stats-intervals", "share-rw"],
  ...["backend_defaults", "ioeventfd", "request-merging", "tx", "x-txtimer", "x-txburst"],
  ...["x-max-bounce-buffer-size", "aio-bh-poll", "queue-polling"],
  // Derived from the host's storage or from the size of the disk.
  ...["discard_granularity", "report-discard-granularity", "min_io_size", "opt_io_size"],
  ...["cyls", "heads", "secs", "lcyls", "lheads", "lsecs", "bios-chs-trans", "max_io_size"],
  // State that QEMU shows as a property.
  ...["MCFG", "hpet-offset-saved", "busnr", "addr", "below-4g-mem-size", "above-4g-mem-size"],
  ...["smb_io_base", "short_root_bus", "failover_pair_id", "devno", "scsi-id", "lun", "channel"],
]);

/** Properties that are a device's address on such a bus; elsewhere they are properties like others. */
const ADDRESS: Readonly<Record<string, string>> = { "port": "usb-bus", "unit": "IDE" };

/** Properties by which the guest identifies a device. */
const IDENTITY: ReadonlySet<string> = new Set([
  ...["mac", "serial", "wwn", "port_wwn", "port_index", "vendor", "product", "model", "ver"],
  ...["device_id", "uuid", "bootindex", "acpi-index", "nguid", "eui64", "subnqn", "rotation_rate"],
  ...["xres", "yres", "xmax", "ymax", "refresh_rate", "edid", "max_unmap_size"],
]);

/** QOM path of a device without an id. */
const NUMBERED = /^\/machine\/(unattached|peripheral-anon)\/device\[\d+\]$/;

/**
 * The rule that a difference violates.
 *
 * @param name the property.
 * @param bus type of the bus that the device is on.
 * @param source its value at the source, as QEMU prints it.
 * @returns `undefined` where the difference has no effect.
 */
export function ruleOf(
  name: string,
  bus: string,
  source: string,
  destination: string,
): RuleName | undefined {
  if (source === destination) return undefined;
  if (HOSTS.has(name) || ADDRESS[name] === bus) return undefined;
  // A link to another device: the number depends on how many QEMU has made before it.
  if (NUMBERED.test(source) && NUMBERED.test(destination)) return undefined;
  if (IDENTITY.has(name)) return "device-identity";
  // QEMU resolves "auto" by its own rules when it creates the device.
  if (source === "auto" || destination === "auto") return undefined;
  // virtio features are negotiated: additional ones do no harm to a guest that uses fewer.
  if (bus.startsWith("virtio-") && bus.endsWith("-bus") && isOn(destination) && isOff(source)) {
    return "device-feature";
  }
  return "device-property";
}

function isOn(value: string): boolean {
  return value === "true" || value === "on";
}

function isOff(value: string): boolean {
  return value === "false" || value === "off";
}
