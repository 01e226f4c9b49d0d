/**
 * Character devices without a terminal. The destination's QEMU runs in the background, so that there
 * is no terminal for `stdio`. A pseudo-terminal keeps input and output: `screen /dev/pts/N` attaches to
 * it, and the guest's output is dropped while nobody does. `null` would lose the console for good.
 *
 * @module
 */
import { backendOf, splitCharacterDevice } from "../character_device.ts";
import type { QemuCommand, QemuOption } from "../command.ts";
import { OPTIONS } from "../option_table.ts";
import { fieldOf, isOn, type OptionValue, parseOption, withFields } from "../option_value.ts";
import { has, mapOptions, type Notes } from "./notes.ts";

const PTY = "the destination's QEMU has no terminal: standard input and output become a " +
  "pseudo-terminal, which QEMU's log names";
const PIPE = "a pipe connects it to a process of the source host. In a command line for " +
  "--qemu-command, use a socket";

/** Translates the character devices. */
export function translateConsoles(command: QemuCommand, notes: Notes): QemuCommand {
  const vhostUser = chardevsOfProcesses(command);
  return mapOptions(addConsole(command, notes), (option, value) => {
    if (option.name === "chardev") return translateChardev(option, value, vhostUser, notes);
    if (OPTIONS[option.name]?.syntax !== "character-device") return option;
    const backend = backendOf(option.value!);
    if (backend === "pipe") notes.problem(option, PIPE);
    if (option.name === "gdb") {
      if (backend !== "stdio") return option;
      notes.warning(option, "the destination's QEMU has no terminal, so gdb cannot attach there");
      return null;
    }
    if (backend === "stdio") {
      notes.warning(option, PTY);
      return { ...option, value: `${splitCharacterDevice(option.value!).prefix}pty` };
    }
    return backend === "unix" || backend === "tcp" || backend === "telnet" ||
        backend === "tn3270" || backend === "websocket"
      ? doNotWait(option, value, notes)
      : option;
  });
}

function translateChardev(
  option: QemuOption,
  value: OptionValue,
  vhostUser: ReadonlySet<string>,
  notes: Notes,
): QemuOption {
  switch (fieldOf(value, "backend")) {
    case "pipe":
      notes.problem(option, PIPE);
      return option;
    case "stdio": {
      notes.warning(option, PTY);
      const fields = value.fields
        .filter(({ key }) => key !== "signal" && key !== "nosignal")
        .map((f) => f.key === "backend" ? { ...f, value: "pty" } : f);
      return withFields(value, fields);
    }
    case "socket": {
      const id = fieldOf(value, "id");
      return id !== undefined && vhostUser.has(id) ? option : doNotWait(option, value, notes);
    }
    default:
      return option;
  }
}

/** A server that waits for its first client would keep the destination's QEMU from starting. */
function doNotWait(option: QemuOption, value: OptionValue, notes: Notes): QemuOption {
  const wait = fieldOf(value, "wait");
  if (!isOn(fieldOf(value, "server")) || (wait !== undefined && !isOn(wait))) return option;
  // QMP is the exception: vmferry is its first client.
  if (option.name !== "qmp" && option.name !== "qmp-pretty") {
    notes.warning(option, "the destination's QEMU does not wait for a client before it starts");
  }
  const fields = value.fields.filter(({ key }) => key !== "wait");
  return withFields(value, [...fields, { key: "wait", value: "off", style: "full" }]);
}

/** Chardevs by which QEMU talks to the process of a device: the guest has no device before it is there. */
function chardevsOfProcesses(command: QemuCommand): Set<string> {
  const ids = command.options.filter(({ name }) =>
    name === "netdev" || name === "device" || name === "tpmdev"
  ).map(parseOption).filter((value) =>
    value.option.name !== "device" || fieldOf(value, "driver")?.startsWith("vhost-user")
  ).map((value) => fieldOf(value, "chardev"));
  return new Set(ids.filter((id) => id !== undefined));
}

/**
 * The devices that -nographic puts on the terminal by default (system/vl.c, `qemu_create_default_devices`),
 * as options. The guest sees the same serial port. -nographic stays, as firmware sees it.
 */
function addConsole(command: QemuCommand, notes: Notes): QemuCommand {
  const nographic = command.options.find(({ name }) => name === "nographic");
  if (nographic === undefined || has(command, "nodefaults")) return command;
  const serial = !has(command, "serial") &&
    !command.options.some((option) =>
      (option.name === "device" && fieldOf(parseOption(option), "driver") === "isa-serial") ||
      (option.name === "global" && /^(?:driver=)?isa-serial[.,]/.test(option.value ?? ""))
    );
  const monitor = !has(command, "monitor", "qmp", "qmp-pretty", "mon");
  if (!serial && !monitor) return command;
  notes.warning(nographic, PTY);
  const console: QemuOption = serial
    ? { name: "serial", value: monitor ? "mon:pty" : "pty" }
    : { name: "monitor", value: "pty" };
  return mapOptions(command, (option) => option === nographic ? [option, console] : option);
}
