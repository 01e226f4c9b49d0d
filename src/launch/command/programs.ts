/**
 * Options that make QEMU run a program or load code. Pure.
 *
 * A destination that does not trust the source's user decides with it, so that an unknown type or key
 * counts as a program, and every value of a key that is given twice.
 *
 * @module
 */
import { backendOf, splitCharacterDevice } from "./character_device.ts";
import type { QemuCommand, QemuOption } from "./command.ts";
import { labelOf } from "./label.ts";
import { OPTIONS } from "./option_table.ts";
import { fieldOf, fieldsOf, isOn, type OptionValue, parseOption } from "./option_value.ts";
import { networkPrograms } from "./programs_network.ts";
import { inlineSets } from "./sets.ts";
import { IMAGE_OPTIONS } from "./path_rules.ts";
import { unknownPaths } from "./unknown_paths.ts";

/** An option that makes QEMU run a program or load code. */
export interface CommandProgram {
  /** The option, such as `-netdev tap,id=n0`. */
  readonly option: string;
  /** What it does, such as `runs /etc/qemu-ifup`. */
  readonly what: string;
}

/** Options that always count. */
const ALWAYS: Readonly<Record<string, string>> = {
  "readconfig": "adds options that vmferry has not read",
  "set": "changes an option that vmferry does not see",
  "semihosting": "lets the guest run programs of the host",
  "semihosting-config": "lets the guest run programs of the host",
  "s": "opens a debugger's port, which reaches QEMU's monitor",
  "gdb": "opens a debugger's port, which reaches QEMU's monitor",
};

/** Backends by which only this host, or nobody, reaches a monitor. */
const LOCAL = ["unix", "null", "none", "stdio", "pty", "chardev", "file", "ringbuf", "memory"];

/** Devices behind which there is one of the host; that of smart cards also loads modules. */
const HOST_DEVICES = /^(?:vfio-.*|usb-host|ccid-card-emulated)$/;

/** Devices of ALSA that are no plugin: the one for files runs a command. */
const ALSA = /^(?:default|null|(?:plug)?hw(?::[\w,=-]*)?)$/;

/** Types of -display that run no program. */
const DISPLAYS = [
  ...["default", "none", "gtk", "sdl", "cocoa", "curses", "egl-headless", "dbus", "vnc"],
];

/** Types of -object of QEMU 7.2 to 11.1 that run no program. */
const OBJECTS =
  /^(?:memory-backend-.*|rng-.*|secret|secret_keyring|tls-c.*|iothread|main-loop|throttle-group|thread-context|authz-(?:list|list-?file|simple)|cryptodev-.*|filter-.*|colo-compare|can-.*|dbus-vmstate|event-loop-base|input-.*|iommufd|igvm-cfg|acpi-.*|pr-manager-helper|qtest|sev-.*|tdx-guest|s390-pv-guest|x-remote-object|x-vfio-user-server|pef-guest|arm-rme-guest)$/;

/**
 * The options that run programs, and values that look like a path in a key that vmferry does not know. -readconfig files must have been expanded, otherwise they count.
 *
 * @throws {CommandLineError} for a value that cannot be parsed.
 */
export function programsIn(command: QemuCommand): readonly CommandProgram[] {
  const inlined = inlineSets(command);
  const chardevs = chardevsOf(inlined);
  const programs = inlined.options.flatMap((option) =>
    programsOf(option, chardevs).map((what) => ({ option: labelOf(option), what }))
  );
  const paths = unknownPaths(inlined).map(({ option, key, path }) => ({
    option: labelOf(option),
    what: `gets ${path}${key === "" ? "" : ` in the key ${key}`}, which vmferry does not know`,
  }));
  return [...programs, ...paths];
}

function programsOf(option: QemuOption, chardevs: ReadonlyMap<string, OptionValue[]>): string[] {
  const { name } = option;
  if (Object.hasOwn(ALWAYS, name)) return [ALWAYS[name]!];
  const value = parseOption(option);
  if (isImageOption(name)) {
    return value.fields.flatMap(({ key, value }) => storagePrograms(key, value));
  }
  switch (name) {
    case "netdev":
    case "nic":
    case "net":
      return networkPrograms(value);
    case "incoming":
      return option.value!.includes("exec") ? ["runs a command that sends the guest"] : [];
    case "plugin":
      return [`loads the plugin ${fieldsOf(value, "file").join(", ")}`];
    case "audio":
    case "audiodev":
      return soundPrograms(value);
    case "device":
      return fieldsOf(value, "driver").flatMap((driver) =>
        HOST_DEVICES.test(driver) ? ["takes a device of the host"] : []
      );
    case "display":
      return fieldsOf(value, "type").flatMap((type) =>
        type === "spice-app"
          ? ["starts a viewer"]
          : DISPLAYS.includes(type)
          ? []
          : [`is of the type ${type}, which vmferry does not know`]
      );
    case "object":
      return objectPrograms(value, chardevs);
    case "monitor":
    case "qmp":
    case "qmp-pretty":
      return monitorPrograms(option.value!, chardevs);
    case "serial":
    case "parallel":
    case "debugcon":
      return option.value!.startsWith("mon:") ? monitorPrograms(option.value!, chardevs) : [];
    case "mon":
      return fieldsOf(value, "chardev").flatMap((id) => monitorAt(id, chardevs));
    default:
      return OPTIONS[name] === undefined ? ["is an option that vmferry does not know"] : [];
  }
}

function isImageOption(name: string): boolean {
  return name === "drive" || name === "blockdev" || Object.hasOwn(IMAGE_OPTIONS, name);
}

/** Settings of Ceph that name no file; others write logs and load plugins. */
const CEPH = /^(?:id|mon_host|auth_supported|auth_client_required|rbd_\w+)=/;

/** A disk of the host, or settings of Ceph, as `rbd:POOL/IMAGE:KEY=VALUE:...` and `=keyvalue-pairs` of -blockdev give them. */
function storagePrograms(key: string, value: string): string[] {
  const hasPairs = key.endsWith("=keyvalue-pairs") || value.includes("=keyvalue-pairs");
  const [, ...settings] = value.replace(/^.*?rbd:/s, "").split(/(?<!\\):/);
  const isOdd = /(?:^|[:"'])rbd:/.test(value) && settings.some((text) => !CEPH.test(text));
  const isDevice = /(?:^|\.)driver$/.test(key) &&
    /^(?:nvme|nvme-io_uring|virtio-blk-v.*)$/.test(value);
  if (isDevice || value.startsWith("nvme:")) return ["takes a device of the host"];
  return hasPairs || isOdd ? ["gives Ceph settings, which can load code and write files"] : [];
}

function soundPrograms(value: OptionValue): string[] {
  const starts = value.fields.some(({ key, value, style }) =>
    /start-server$/.test(key) && (isOn(value) || style === "flag")
  );
  const plugins = fieldsOf(value, "driver").includes("alsa")
    ? value.fields.filter(({ key, value }) => /(?:^|\.)dev$/.test(key) && !ALSA.test(value))
    : [];
  return [
    ...(starts ? ["starts a JACK server"] : []),
    ...plugins.map(({ value }) => `opens the sound device ${value}, which may run a program`),
  ];
}

function objectPrograms(
  value: OptionValue,
  chardevs: ReadonlyMap<string, OptionValue[]>,
): string[] {
  const types = fieldsOf(value, "qom-type");
  if (types.length === 0) return ["has no type"];
  return types.flatMap((type) => {
    if (type === "authz-pam") return [`loads the PAM modules of ${fieldOf(value, "service")}`];
    if (type === "monitor-hmp" || type === "monitor-qmp") {
      return fieldsOf(value, "chardev").flatMap((id) => monitorAt(id, chardevs));
    }
    return OBJECTS.test(type) ? [] : [`is of the type ${type}, which vmferry does not know`];
  });
}

const MONITOR = "opens a monitor to others, and a monitor's user can run programs";

/** A monitor at the short form of a character device. */
function monitorPrograms(text: string, chardevs: ReadonlyMap<string, OptionValue[]>): string[] {
  const backend = backendOf(text);
  if (!LOCAL.includes(backend)) return [MONITOR];
  if (backend !== "chardev") return [];
  return monitorAt(splitCharacterDevice(text).rest.replace(/^chardev:/, ""), chardevs);
}

/** A monitor at a -chardev: reached over a network, by the guest's screen, SPICE or a file, it counts. */
function monitorAt(id: string, chardevs: ReadonlyMap<string, OptionValue[]>): string[] {
  const found = chardevs.get(id) ?? [];
  const local = found.length > 0 &&
    found.every((value) =>
      fieldsOf(value, "backend").every((backend) =>
        LOCAL.includes(backend) || (backend === "socket" && isUnixSocket(value))
      ) && fieldsOf(value, "backend").length > 0 && fieldsOf(value, "input-path").length === 0
    );
  return local ? [] : [MONITOR];
}

function isUnixSocket(value: OptionValue): boolean {
  return fieldOf(value, "path") !== undefined && fieldOf(value, "host") === undefined &&
    fieldOf(value, "port") === undefined;
}

function chardevsOf(command: QemuCommand): Map<string, OptionValue[]> {
  const found = new Map<string, OptionValue[]>();
  for (const option of command.options) {
    if (option.name !== "chardev") continue;
    const value = parseOption(option);
    for (const id of fieldsOf(value, "id")) found.set(id, [...found.get(id) ?? [], value]);
  }
  return found;
}
