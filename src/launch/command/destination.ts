/**
 * A command line for the destination. Pure.
 *
 * @module
 */
import { parseCommand } from "./parse.ts";
import type { QemuCommand, QemuOption } from "./command.ts";
import { OPTIONS } from "./option_table.ts";
import { labelOf } from "./label.ts";
import { fieldOf, parseOption } from "./option_value.ts";

/** What changed while the guest ran. */
export interface Changes {
  /** Ids of devices and backends, and names of nodes, that were removed. */
  readonly removed: readonly string[];
  /** Options, without dashes, that bring back what was added. */
  readonly added: readonly (readonly [option: string, value: string])[];
}

/** A command line for the destination. */
export interface Translation {
  /** To be used only where there are no problems. */
  readonly command: QemuCommand;
  /** Why this guest cannot be started at the destination, a sentence or two each, with what to do. */
  readonly problems: readonly string[];
  /** What is different there, a sentence or two each. */
  readonly warnings: readonly string[];
}

/**
 * The command line with which the destination's QEMU waits for the guest. Paths stay: `withPaths`
 * changes them. -readconfig must have been expanded.
 *
 * @throws {CommandLineError} for a value that cannot be parsed.
 */
export function forDestination(command: QemuCommand, changes: Changes): Translation {
  const problems: string[] = [];
  const warnings: string[] = [];
  const options: QemuOption[] = [];
  for (const option of command.options) {
    const { effect, note } = OPTIONS[option.name]!;
    if (effect === "refuse") problems.push(`${labelOf(option)}: ${note}.`);
    if (effect === "drop" || option.name === "incoming") continue;
    const value = parseOption(option);
    const id = fieldOf(value, "id") ?? fieldOf(value, "node-name");
    if (id !== undefined && changes.removed.includes(id)) continue;
    options.push(option);
  }
  const added = changes.added.flatMap(([name, value]) => [`-${name}`, value]);
  options.push(...parseCommand([command.binary, ...added]).options);
  options.push({ name: "incoming", value: "defer" });
  return { command: { ...command, options }, problems, warnings };
}
