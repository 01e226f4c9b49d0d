/**
 * Collects what a user must know about a translation, and edits command lines. Pure.
 *
 * @module
 */
import type { QemuCommand, QemuOption } from "../command.ts";
import { labelOf } from "../label.ts";
import { type OptionValue, parseOption } from "../option_value.ts";

/** Problems and warnings, a sentence or two each. */
export class Notes {
  readonly problems: string[] = [];
  readonly warnings: string[] = [];

  /** The option is why the guest cannot be started at the destination. */
  problem(option: QemuOption, text: string): void {
    add(this.problems, `${labelOf(option)}: ${text}.`);
  }

  /** Something about the option is different at the destination. */
  warning(option: QemuOption, text: string): void {
    add(this.warnings, `${labelOf(option)}: ${text}.`);
  }
}

function add(list: string[], text: string): void {
  if (!list.includes(text)) list.push(text);
}

/** One step of a translation. */
export type Step = (command: QemuCommand, notes: Notes) => QemuCommand;

/** Puts other options, one or none in place of each. */
export function mapOptions(
  command: QemuCommand,
  map: (option: QemuOption, value: OptionValue) => QemuOption | readonly QemuOption[] | null,
): QemuCommand {
  const options = command.options.flatMap((option) => map(option, parseOption(option)) ?? []);
  return { ...command, options };
}

/** The command line has one of these options. */
export function has(command: QemuCommand, ...names: string[]): boolean {
  return command.options.some(({ name }) => names.includes(name));
}
