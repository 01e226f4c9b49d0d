/**
 * Devices of the source host, and processes beside QEMU. Pure.
 *
 * @module
 */
import type { QemuCommand, QemuOption } from "../command.ts";
import { fieldOf, fieldsOf, isOn, type OptionValue, parseOption } from "../option_value.ts";
import { pathsOf } from "../paths.ts";
import type { Notes } from "./notes.ts";

const PASSED = "it passes a device of the source host to the guest";
/** Drivers of -device that pass a device of the host. */
const DEVICES: readonly [pattern: RegExp, what: string][] = [
  [/^(?:x-)?vfio-|^xen-pci-passthrough$|^x-pci-proxy-dev$/, PASSED],
  [/^usb-host$|^pvrdma$|^u2f-passthru$|^ccid-card-emulated$/, PASSED],
  [/^scsi-(?:generic|block)$/, `${PASSED}; scsi-hd on the same image can be migrated`],
  [/^virtio-input-host/, PASSED],
  [/^vhost-(?:scsi|vdpa)/, "it uses a target in the source host's kernel"],
];
/** Types of -object that belong to the host. */
const OBJECTS: Readonly<Record<string, string>> = {
  "input-linux": PASSED,
  "secret_keyring": "the secret is in a keyring of the source host's kernel",
  "x-remote-object": "it is the other half of a QEMU that runs beside this one",
};
/** Drivers of block nodes that own a device of the host. */
const BLOCK_DRIVERS = ["nvme", "nvme-io_uring", "virtio-blk-vfio-pci", "virtio-blk-vhost-vdpa"];

/** Reports what belongs to the source host. */
export function checkHostDevices(command: QemuCommand, notes: Notes): QemuCommand {
  for (const option of command.options) {
    const value = parseOption(option);
    for (const what of problemsOf(option, value)) {
      notes.problem(option, `${what}. ${remedy(option, value)}`);
    }
    if (option.name === "object" && fieldOf(value, "qom-type")?.startsWith("tls-creds-")) {
      notes.warning(option, "the destination needs its own certificates or keys in that directory");
    }
  }
  checkSockets(command, notes);
  return command;
}

function remedy({ name }: QemuOption, value: OptionValue): string {
  const id = fieldOf(value, "id");
  return name === "device" && id !== undefined
    ? `Remove it from the guest first (QMP device_del, id ${id})`
    : "Start the guest without it";
}

function problemsOf(option: QemuOption, value: OptionValue): string[] {
  const found: string[] = [];
  const add = (what: string | undefined) => what !== undefined && found.push(what);
  switch (option.name) {
    case "device":
      for (const driver of fieldsOf(value, "driver")) {
        add(DEVICES.find(([pattern]) => pattern.test(driver))?.[1]);
      }
      break;
    case "object":
      for (const type of fieldsOf(value, "qom-type")) {
        if (Object.hasOwn(OBJECTS, type)) add(OBJECTS[type]);
      }
      break;
    case "tpmdev":
      if (fieldsOf(value, "type").includes("passthrough")) add(PASSED);
      break;
    case "usbdevice":
      if (option.value!.startsWith("host:")) add(PASSED);
      break;
    case "netdev":
    case "nic":
      if (fieldsOf(value, "type").includes("vhost-vdpa")) add(PASSED);
      break;
    case "drive":
    case "blockdev":
      add(blockProblem(value));
      if (option.name === "drive" && isOn(fieldOf(value, "snapshot"))) {
        add("the guest's writes are in a temporary file that only the running QEMU can see");
      }
      break;
  }
  return found;
}

function blockProblem({ fields }: OptionValue): string | undefined {
  const owns = fields.some(({ key, value }) =>
    (/(?:^|\.)driver$/.test(key) && BLOCK_DRIVERS.includes(value)) ||
    (key === "file" && /^nvme:/.test(value))
  );
  return owns ? "it takes a device of the source host for itself" : undefined;
}

/** Warns about sockets to which QEMU connects when it starts: another process must be there first. */
function checkSockets(command: QemuCommand, notes: Notes): void {
  const swtpm = new Set(
    command.options.filter(({ name }) => name === "tpmdev")
      .map((option) => fieldOf(parseOption(option), "chardev")),
  );
  for (const { index, path, connects } of pathsOf(command)) {
    if (!connects) continue;
    const option = command.options[index]!;
    const id = fieldOf(parseOption(option), "id");
    const how = option.name === "chardev" && swtpm.has(id)
      ? "start swtpm there with an empty state: swtpm socket --tpm2 --tpmstate dir=DIRECTORY " +
        `--ctrl type=unixio,path=${path}`
      : "start that process there first";
    notes.warning(
      option,
      `another process must listen at ${path} on the destination; ${how}`,
    );
  }
}
