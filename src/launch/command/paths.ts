/**
 * The paths in a command line. Pure.
 *
 * @module
 */
import type { QemuCommand } from "./command.ts";
import type { CommandPath } from "./path.ts";
import { fieldOf, fieldsOf, isOn, parseOption } from "./option_value.ts";
import { mapOptionPaths } from "./path_places.ts";

/**
 * The paths of a command line, in its order. Those of images that are reached by a protocol, such as
 * NBD or https, are no paths of this host and are not among them.
 *
 * @throws {CommandLineError} for a value that cannot be parsed.
 */
export function pathsOf(command: QemuCommand): readonly CommandPath[] {
  const paths: CommandPath[] = [];
  withPaths(command, (path, at) => {
    paths.push(at);
    return path;
  });
  return paths;
}

/**
 * The command line with other paths. Whatever stands around a path, such as `file:` or JSON, stays;
 * an option whose paths do not change stays byte for byte.
 *
 * @param map takes a path as written and returns the new one.
 * @throws {CommandLineError} as `pathsOf`.
 */
export function withPaths(
  command: QemuCommand,
  map: (path: string, at: CommandPath) => string,
): QemuCommand {
  const readers = readOnlyNodes(command);
  const options = command.options.map((option, index) => {
    const node = option.name === "blockdev" ? fieldOf(parseOption(option), "node-name") : undefined;
    return mapOptionPaths(option, (path, use, key) => {
      const how = use.kind === "image" && node !== undefined && readers.has(node)
        ? { ...use, kind: "read-only" as const, writable: false }
        : use;
      return map(path, { ...how, index, option: option.name, key, path });
    });
  });
  return { ...command, options };
}

/** Nodes that are below a read-only node or are a backing file, by name. */
function readOnlyNodes({ options }: QemuCommand): Set<string> {
  const nodes = options.filter(({ name }) => name === "blockdev").map(parseOption);
  const found = new Set<string>();
  for (const node of nodes) {
    for (const below of fieldsOf(node, "backing")) found.add(below);
  }
  // Once for each level of nodes that refer to each other.
  for (let size = -1; size !== found.size;) {
    size = found.size;
    for (const node of nodes) {
      const name = fieldOf(node, "node-name");
      const readOnly = isOn(fieldOf(node, "read-only")) || (name !== undefined && found.has(name));
      if (readOnly) { for (const below of fieldsOf(node, "file")) found.add(below); }
    }
  }
  for (const name of found) if (isUsedElse(name, found, options)) found.delete(name);
  return found;
}

/** Keys that refer to no node. */
const NAMES = /(?:^|\.)(?:id|node-name|serial|name|type|driver)$/;

/** Something else than a read-only node, or a node above its backing file, uses the node: it may be written. */
function isUsedElse(
  name: string,
  readers: ReadonlySet<string>,
  options: QemuCommand["options"],
): boolean {
  return options.some((option) => {
    const value = parseOption(option);
    const self = fieldOf(value, "node-name");
    const reads = isOn(fieldOf(value, "read-only")) || (self !== undefined && readers.has(self));
    return value.fields.some((field) =>
      field.value === name && !NAMES.test(field.key) && field.key !== "backing" &&
      !(option.name === "blockdev" && reads && field.key === "file")
    );
  });
}
