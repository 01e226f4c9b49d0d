/**
 * Options that make QEMU run a program or load code. Pure.
 *
 * @module
 */
import type { QemuCommand } from "./command.ts";
import { labelOf } from "./label.ts";
import { fieldsOf, parseOption } from "./option_value.ts";

/** An option that makes QEMU run a program or load code. */
export interface CommandProgram {
  /** The option, such as `-netdev tap,id=n0`. */
  readonly option: string;
  /** What it runs, such as `runs the script /etc/qemu-ifup`. */
  readonly what: string;
}

/**
 * The options that run programs. Errs on the side of naming one: a type of device that vmferry does not
 * know counts. -readconfig files must have been expanded, otherwise they count.
 *
 * @throws {CommandLineError} for a value that cannot be parsed.
 */
export function programsIn(command: QemuCommand): readonly CommandProgram[] {
  return command.options.flatMap((option) => {
    const value = parseOption(option);
    return ["script", "downscript", "helper"].flatMap((key) =>
      fieldsOf(value, key).filter((path) => path !== "no" && path !== "")
        .map((path) => ({ option: labelOf(option), what: `runs ${path}` }))
    );
  });
}
