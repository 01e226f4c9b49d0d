/**
 * Command lines as QEMU reads them (system/vl.c, `qemu_init` and `lookup_opt`): one or two dashes, no
 * abbreviations, the value is the next argument. Pure.
 *
 * @module
 */
import { CommandLineError, type QemuCommand, type QemuOption } from "./command.ts";
import { canonicalName, OPTIONS } from "./option_table.ts";

/**
 * Parses a command line.
 *
 * @param argv the binary and its arguments.
 * @throws {CommandLineError} naming the argument: an unknown option, or one whose value is missing.
 */
export function parseCommand(argv: readonly string[]): QemuCommand {
  const [binary, ...rest] = argv;
  if (!binary) throw new CommandLineError("The command line is empty: it has no QEMU binary");
  const options: QemuOption[] = [];
  for (let i = 0; i < rest.length; i++) {
    const argument = rest[i]!;
    if (!argument.startsWith("-")) {
      options.push({ name: "drive-file", value: argument });
      continue;
    }
    const name = canonicalName(argument.replace(/^--?/, ""));
    if (name === null) {
      throw new CommandLineError(
        `vmferry does not know QEMU's option ${argument}. It knows those of QEMU 7.2 to 11.1`,
      );
    }
    const written = argument === `-${name}` ? {} : { written: argument };
    if (OPTIONS[name]!.syntax === null) {
      options.push({ name, value: null, ...written });
      continue;
    }
    const value = rest[++i];
    if (value === undefined) {
      throw new CommandLineError(`The last option, ${argument}, has no value`);
    }
    options.push({ name, value, ...written });
  }
  return { binary, options };
}

/** The arguments of a command line, the binary first. Byte for byte those that were parsed. */
export function writeCommand({ binary, options }: QemuCommand): string[] {
  return [
    binary,
    ...options.flatMap(({ name, value, written }) => {
      if (name === "drive-file") return [value ?? ""];
      return value === null ? [written ?? `-${name}`] : [written ?? `-${name}`, value];
    }),
  ];
}
