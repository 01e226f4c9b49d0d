/**
 * The machine and the life of the QEMU process. Pure.
 *
 * @module
 */
import type { QemuCommand, QemuOption } from "../command.ts";
import { fieldOf, isOn, parseOption, withFields } from "../option_value.ts";
import { pathsOf } from "../paths.ts";
import { mapOptions, type Notes } from "./notes.ts";

/**
 * Names the machine type that the source's QEMU has: an alias, such as `q35`, and the default are other
 * machines in another version of QEMU.
 */
export function fixMachineType(command: QemuCommand, type: string | null): QemuCommand {
  if (type === null || type === "") return command;
  let named = false;
  const fixed = mapOptions(command, (option, value) => {
    if (option.name !== "machine" || fieldOf(value, "type") === undefined) return option;
    named = true;
    return withFields(value, value.fields.map((f) => f.key === "type" ? { ...f, value: type } : f));
  });
  if (named) return fixed;
  return { ...fixed, options: [{ name: "machine", value: type }, ...fixed.options] };
}

/** Options that newer versions of QEMU no longer have, by what 7.2 and 11.1 both have. */
const SUCCESSORS: Readonly<Record<string, QemuOption>> = {
  "no-acpi": { name: "machine", value: "acpi=off" },
  "no-hpet": { name: "machine", value: "hpet=off" },
};

/** Translates how the process runs. */
export function translateProcess(command: QemuCommand, notes: Notes): QemuCommand {
  checkRelativePaths(command, notes);
  return mapOptions(command, (option, value) => {
    switch (option.name) {
      case "no-acpi":
      case "no-hpet":
        return SUCCESSORS[option.name]!;
      case "icount":
        if ((fieldOf(value, "rr") ?? "none") !== "none") {
          notes.problem(
            option,
            "a recording or replay cannot move between hosts. Start the guest without rr=",
          );
        }
        return option;
      case "run-with": {
        if (fieldOf(value, "chroot") !== undefined) {
          notes.problem(
            option,
            "vmferry's sockets are outside of QEMU's root directory. Start the guest without chroot=",
          );
        }
        if (fieldOf(value, "exit-with-parent") === undefined) return option;
        if (isOn(fieldOf(value, "exit-with-parent"))) {
          notes.warning(
            option,
            "the destination's QEMU does not end with the process that started it",
          );
        }
        const fields = value.fields.filter(({ key }) => key !== "exit-with-parent");
        return fields.length === 0 ? null : withFields(value, fields);
      }
      case "id":
        notes.warning(
          option,
          "Proxmox VE manages this guest; its configuration stays on the source. `qm migrate` moves both",
        );
        return option;
      case "readconfig":
        notes.problem(option, "its options have not been read");
        return option;
      case "set":
        notes.problem(option, "the command line has no option that it could belong to");
        return option;
      default:
        return option;
    }
  });
}

/** -daemonize makes `/` the working directory, so that nobody knows where QEMU was started. */
function checkRelativePaths(command: QemuCommand, notes: Notes): void {
  if (!command.options.some(({ name }) => name === "daemonize")) return;
  for (const { index, path, searched } of pathsOf(command)) {
    if (path.startsWith("/") || (searched && !path.includes("/"))) continue;
    notes.problem(
      command.options[index]!,
      `${path} is relative to a directory that -daemonize left. Give --qemu-command a command ` +
        "line with absolute paths",
    );
  }
}

/** The user whose rights QEMU takes after its start (-runas, -run-with user=); `null`: it keeps its own. */
export function changesUser(command: QemuCommand): string | null {
  const last = command.options.findLast((option) =>
    option.name === "runas" ||
    (option.name === "run-with" && fieldOf(parseOption(option), "user") !== undefined)
  );
  if (last === undefined) return null;
  return last.name === "runas" ? last.value : fieldOf(parseOption(last), "user")!;
}
