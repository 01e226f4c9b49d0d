/**
 * Values that look like paths in keys that vmferry does not know. Pure.
 *
 * @module
 */
import type { QemuCommand, QemuOption } from "./command.ts";
import { OPTIONS } from "./option_table.ts";
import { parseOption } from "./option_value.ts";
import { pathsOf } from "./paths.ts";

/** Keys whose text may begin with a slash and is no path. */
const TEXTS: Readonly<Record<string, RegExp>> = {
  "smbios": /^(?!file$|path$)/,
  "fw_cfg": /^(?:name|string)$/,
  "name": /^/,
  "audiodev": /^server$/,
  "machine": /^append$/,
  "device": /^(?:serial|mount_tag|tag|vendor|product|bootargs|bus)$/,
};

/** A path that no rule is known for. */
export interface UnknownPath {
  readonly option: QemuOption;
  /** Empty for -global. */
  readonly key: string;
  readonly path: string;
}

/**
 * The values that begin like a path and that `pathsOf` does not find.
 *
 * @throws {CommandLineError} for a value that cannot be parsed.
 */
export function unknownPaths(command: QemuCommand): UnknownPath[] {
  const known = pathsOf(command);
  return command.options.flatMap((option, index) => {
    const paths = new Set(
      known.filter((path) => path.index === index).map(({ path }) => path),
    );
    return fieldsIn(option)
      .filter(({ key, value }) =>
        /^\.{0,2}\//.test(value) && !paths.has(value) && !isListOf(value, paths) &&
        !(Object.hasOwn(TEXTS, option.name) && TEXTS[option.name]!.test(key))
      )
      .map(({ key, value }) => ({ option, key, path: value }));
  });
}

/** Several paths in one value, as -acpitable takes them. */
function isListOf(value: string, paths: ReadonlySet<string>): boolean {
  return value.includes(":") && value.split(":").every((path) => paths.has(path));
}

function fieldsIn(option: QemuOption): readonly { readonly key: string; readonly value: string }[] {
  const { name, value } = option;
  if (name === "global") return [{ key: "", value: (value ?? "").replace(/^.*?=/, "") }];
  return OPTIONS[name]?.syntax === "options" ? parseOption(option).fields : [];
}
