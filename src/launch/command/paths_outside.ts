/**
 * Paths that a destination does not give to just any source. Pure.
 *
 * @module
 */
import type { QemuCommand } from "./command.ts";
import { labelOf } from "./label.ts";
import { OPTIONS } from "./option_table.ts";
import { parseOption } from "./option_value.ts";
import type { CommandPath } from "./path.ts";
import { pathsOf } from "./paths.ts";
import { inlineSets } from "./sets.ts";

/** A path outside of the directories that are allowed. */
export interface PathOutside {
  /** The option, such as `-drive id=d0`. */
  readonly option: string;
  /** As written. */
  readonly path: string;
  /** What QEMU does with it; `null`: vmferry does not know the key. */
  readonly use: CommandPath | null;
}

/** Devices that hold nothing of the host's. */
const HARMLESS =
  /^\/dev\/(?:null|zero|full|u?random|hwrng|kvm|vhost-net|net\/tun|dri\/renderD\d+|hugepages)$/;
/** Keys whose text may begin with a slash and is no path. */
const TEXTS: Readonly<Record<string, RegExp>> = {
  "smbios": /^(?!file$|path$)/,
  "fw_cfg": /^(?:name|string)$/,
  "name": /^/,
  "machine": /^append$/,
  "compat": /^/,
};

/**
 * The paths of a command line that lie in none of the directories. With them a source could have the
 * guest read and overwrite any file of the host. Symbolic links are not followed. A value that begins
 * like a path counts where vmferry does not know its key. -readconfig must have been expanded.
 *
 * @param cwd QEMU's working directory.
 * @param directories absolute paths.
 * @throws {CommandLineError} for a value that cannot be parsed.
 */
export function pathsOutside(
  command: QemuCommand,
  cwd: string,
  directories: readonly string[],
): readonly PathOutside[] {
  const inlined = inlineSets(command);
  const known = pathsOf(inlined);
  const allowed = directories.map((directory) => `${normalize(directory, "/")}/`);
  const isOutside = (path: string) => {
    const whole = normalize(path, cwd);
    return !HARMLESS.test(whole) && !allowed.some((directory) => `${whole}/`.startsWith(directory));
  };
  const found: PathOutside[] = [];
  for (const use of known) {
    const { index, path } = use;
    if (use.searched && !path.includes("/")) continue;
    if (isOutside(path)) found.push({ option: labelOf(inlined.options[index]!), path, use });
  }
  for (const [index, option] of inlined.options.entries()) {
    if (OPTIONS[option.name]?.syntax !== "options" && option.name !== "global") continue;
    const seen = new Set(known.filter((p) => p.index === index).map(({ path }) => path));
    const fields = option.name === "global"
      ? [{ key: "", value: (option.value ?? "").replace(/^[^=]*=/, "") }]
      : parseOption(option).fields;
    for (const { key, value: path } of fields) {
      if (seen.has(path) || !/^\.{0,2}\//.test(path)) continue;
      if (Object.hasOwn(TEXTS, option.name) && TEXTS[option.name]!.test(key)) continue;
      if (isOutside(path)) found.push({ option: labelOf(option), path, use: null });
    }
  }
  return found;
}

/** An absolute path without `.`, `..` and doubled slashes; the root is empty. */
function normalize(path: string, cwd: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${cwd}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.map((part) => `/${part}`).join("");
}
