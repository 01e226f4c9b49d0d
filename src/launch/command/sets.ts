/**
 * Values that -set gives to options (system/vl.c, `qemu_set_option`). Pure.
 *
 * @module
 */
import type { QemuCommand, QemuOption } from "./command.ts";
import { GROUPS } from "./config.ts";
import { OPTIONS } from "./option_table.ts";
import { fieldOf, parseOption, withFields } from "./option_value.ts";

/** Puts the value of each -set into its option. One whose option is not there stays. */
export function inlineSets(command: QemuCommand): QemuCommand {
  const options: QemuOption[] = [];
  for (const option of command.options) {
    const set = option.name === "set" ? parseSet(option.value ?? "") : null;
    const at = set === null ? -1 : options.findIndex((o) => {
      if (o.name !== set.name || o.value === null || o.value.startsWith("{")) return false;
      return fieldOf(parseOption(o), "id") === set.id;
    });
    if (set === null || at < 0) {
      options.push(option);
      continue;
    }
    const value = parseOption(options[at]!);
    const field = { key: set.key, value: set.value, style: "full" as const };
    options[at] = withFields(value, [...value.fields, field]);
  }
  return { ...command, options };
}

/** The parts of `group.id.key=value`, the group as an option's name; `null`: it has others. */
export function parseSet(
  text: string,
): { group: string; name: string; id: string; key: string; value: string } | null {
  const found = /^([\w-]+)\.([^.=]*)\.([^=]*)=(.*)$/s.exec(text);
  if (found === null) return null;
  const [, group = "", id = "", key = "", value = ""] = found;
  const name = Object.hasOwn(GROUPS, group) ? GROUPS[group]! : group;
  if (!Object.hasOwn(OPTIONS, name) || OPTIONS[name]!.syntax !== "options") return null;
  return { group, name, id, key, value };
}
