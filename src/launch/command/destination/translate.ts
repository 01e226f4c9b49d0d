/**
 * A command line for the destination. Pure.
 *
 * @module
 */
import { parseCommand } from "../parse.ts";
import { CommandLineError, type QemuCommand } from "../command.ts";
import { OPTIONS } from "../option_table.ts";
import { fieldOf } from "../option_value.ts";
import { inlineSets } from "../sets.ts";
import { translateConsoles } from "./consoles.ts";
import { checkDescriptors } from "./descriptors.ts";
import { translateDisplays } from "./displays.ts";
import { checkHostDevices } from "./host_devices.ts";
import { fixMachineType, translateProcess } from "./machine.ts";
import { isManagedByLibvirt } from "./managers.ts";
import { checkNetwork } from "./network.ts";
import { mapOptions, Notes, type Step } from "./notes.ts";

/** What the source's QEMU knows and its command line does not show. */
export interface Changes {
  /** Ids of devices and backends, and names of nodes, that were removed while the guest ran. */
  readonly removed: readonly string[];
  /** Options, without dashes, that bring back what was added. */
  readonly added: readonly (readonly [option: string, value: string])[];
  /** The exact machine type, such as `pc-q35-10.0`; `null` or missing: the command line's. */
  readonly machineType?: string | null;
}

/** A command line for the destination. */
export interface Translation {
  /** To be used only where there are no problems. */
  readonly command: QemuCommand;
  /** Why this guest cannot be started at the destination, with what to do. */
  readonly problems: readonly string[];
  /** What is different there. */
  readonly warnings: readonly string[];
}

const STEPS: readonly Step[] = [
  translateProcess,
  applyTable,
  checkDescriptors,
  checkHostDevices,
  translateConsoles,
  translateDisplays,
  checkNetwork,
];

/**
 * The command line with which the destination's QEMU waits for the guest. Paths stay: `withPaths`
 * changes them. -readconfig must have been expanded.
 *
 * @throws {CommandLineError} for a value that cannot be parsed.
 */
export function forDestination(command: QemuCommand, changes: Changes): Translation {
  const notes = new Notes();
  if (isManagedByLibvirt(command)) {
    notes.problems.push(
      "libvirt manages this guest. `vmferry domain NAME DESTINATION` moves it with its definition.",
    );
  }
  let translated = remove(inlineSets(command), changes.removed, notes);
  translated = add(translated, changes.added);
  for (const step of STEPS) translated = step(translated, notes);
  translated = fixMachineType(translated, changes.machineType ?? null);
  const options = [...translated.options, { name: "incoming", value: "defer" }];
  const { problems, warnings } = notes;
  return { command: { ...translated, options }, problems, warnings };
}

/** Leaves out and refuses what the table says. -incoming goes, so that a guest can cross back. */
function applyTable(command: QemuCommand, notes: Notes): QemuCommand {
  return mapOptions(command, (option) => {
    const { effect, note } = OPTIONS[option.name]!;
    if (effect === "refuse") notes.problem(option, note ?? "it cannot be used here");
    return effect === "drop" || option.name === "incoming" ? null : option;
  });
}

function remove(command: QemuCommand, removed: readonly string[], notes: Notes): QemuCommand {
  const missing = new Set(removed);
  const kept = mapOptions(command, (option, value) => {
    const key = option.name === "blockdev" ? "node-name" : "id";
    const id = fieldOf(value, key);
    if (id === undefined || !removed.includes(id)) return option;
    missing.delete(id);
    return null;
  });
  for (const id of missing) {
    notes.problems.push(
      `${id} was removed while the guest ran, and no option of the command line has this id. ` +
        "Give --qemu-command a command line without it.",
    );
  }
  return kept;
}

function add(command: QemuCommand, added: Changes["added"]): QemuCommand {
  const argv = added.flatMap(([name, value]) => {
    if (name.startsWith("-")) throw new CommandLineError(`${name} has dashes`);
    return [`-${name}`, value];
  });
  const { options } = parseCommand([command.binary, ...argv]);
  return { ...command, options: [...command.options, ...options] };
}
