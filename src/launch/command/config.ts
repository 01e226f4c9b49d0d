/**
 * Files of -readconfig as options (util/qemu-config.c; system/vl.c, `qemu_parse_config_group`). Pure
 * but for reading the files, which is injected.
 *
 * @module
 */
import { CommandLineError, type QemuCommand, type QemuOption } from "./command.ts";
import { OPTIONS } from "./option_table.ts";

/** Groups of options whose option has another name. */
export const GROUPS: Readonly<Record<string, string>> = {
  "memory": "m",
  "smp-opts": "smp",
  "boot-opts": "boot",
  "acpi": "acpitable",
};
/** A file may not be longer than this, characters. */
const MAX_LENGTH = 1 << 20;

/**
 * Puts the options of each -readconfig file in its place.
 *
 * @param read returns the text of a file, by its path as written.
 * @throws {CommandLineError} for a file that QEMU would not read, or a group that vmferry does not know.
 * @throws as `read`.
 */
export async function expandConfig(
  command: QemuCommand,
  read: (path: string) => Promise<string>,
): Promise<QemuCommand> {
  const options: QemuOption[] = [];
  for (const option of command.options) {
    if (option.name !== "readconfig" || option.value === null) options.push(option);
    else options.push(...parseConfig(await read(option.value), option.value));
  }
  return { ...command, options };
}

/**
 * The options of a configuration file.
 *
 * @throws {CommandLineError} naming the file and the line.
 */
export function parseConfig(text: string, path: string): QemuOption[] {
  if (text.length > MAX_LENGTH) throw new CommandLineError(`${path} is longer than 1 MiB`);
  const groups: { name: string; fields: string[] }[] = [];
  for (const [i, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const group = /^\[([^\]\s"]+)(?:\s+"([^"]*)")?\]$/.exec(line);
    if (group !== null) {
      const name = Object.hasOwn(GROUPS, group[1]!) ? GROUPS[group[1]!]! : group[1]!;
      if (!Object.hasOwn(OPTIONS, name) || OPTIONS[name]!.syntax !== "options") {
        throw new CommandLineError(
          `${path}, line ${i + 1}: vmferry does not know the group ${line}`,
        );
      }
      groups.push({ name, fields: group[2] === undefined ? [] : [`id=${escape(group[2])}`] });
      continue;
    }
    const field = /^([\w.-]+)\s*=\s*"([^"]*)"$/.exec(line);
    const last = groups.at(-1);
    if (field === null || last === undefined) {
      throw new CommandLineError(`${path}, line ${i + 1}: QEMU would not read this line`);
    }
    last.fields.push(`${field[1]}=${escape(field[2]!)}`);
  }
  return groups.map(({ name, fields }) => ({ name, value: fields.join(",") }));
}

function escape(value: string): string {
  return value.replaceAll(",", ",,");
}
