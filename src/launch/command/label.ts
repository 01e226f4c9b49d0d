/**
 * Options as messages name them: without values that may be secret. Pure.
 *
 * @module
 */
import type { QemuOption } from "./command.ts";
import { OPTIONS } from "./option_table.ts";
import { fieldOf, parseOption } from "./option_value.ts";

/** Names an option, such as `-netdev tap,id=n0`. */
export function labelOf(option: QemuOption): string {
  const { name, value } = option;
  if (name === "drive-file") return `disk image ${value}`;
  const rule = OPTIONS[name];
  if (value === null || rule === undefined) return `-${name}`;
  if (rule.syntax !== "options") return `-${name} ${value.slice(0, 200)}`;
  const parsed = parseOption(option);
  const first = rule.first === undefined ? undefined : fieldOf(parsed, rule.first);
  const key = fieldOf(parsed, "id") !== undefined ? "id" : "node-name";
  const id = fieldOf(parsed, key);
  const words = [
    ...(first === undefined ? [] : [first]),
    ...(id === undefined ? [] : [`${key}=${id}`]),
  ];
  return words.length === 0 ? `-${name}` : `-${name} ${words.join(",")}`;
}
