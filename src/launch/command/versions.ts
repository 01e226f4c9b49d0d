/**
 * Options that not every version of QEMU has. Pure.
 *
 * @module
 */
import type { QemuCommand } from "./command.ts";
import { labelOf } from "./label.ts";
import { OPTIONS } from "./option_table.ts";

/** What took the place of a removed option. */
const INSTEAD: Readonly<Record<string, string>> = {
  "runas": "-run-with user=",
  "async-teardown": "-run-with async-teardown=on",
};

/** An option that a version lacks. */
export interface MissingOption {
  /** Such as `-runas nobody`. */
  readonly option: string;
  /** What that version has in its place; `null`: nothing. */
  readonly instead: string | null;
}

/**
 * The options of a command line that a version of QEMU lacks, as far as its major number says so.
 *
 * @param version such as `10.0.2`; one without a number has everything.
 */
export function optionsMissingIn(command: QemuCommand, version: string): readonly MissingOption[] {
  const major = Number.parseInt(version);
  return command.options.flatMap((option) => {
    const [first, last] = OPTIONS[option.name]?.majors ?? [0, Infinity];
    const isThere = Number.isNaN(major) || last < 0 || (first <= major && major <= last);
    return isThere ? [] : [{ option: labelOf(option), instead: INSTEAD[option.name] ?? null }];
  });
}
