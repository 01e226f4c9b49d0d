/**
 * What a command line defines, by its ids. Pure.
 *
 * @module
 */
import type { QemuCommand } from "../command/mod.ts";
import { fieldOf, type OptionValue, parseOption } from "../command/mod.ts";

/** An option with its place and its parsed value. */
export interface Given {
  /** Index in `QemuCommand.options`. */
  readonly index: number;
  readonly value: OptionValue;
}

/** The options by the id that they define; those without one are only in `all`. */
export interface GivenOptions {
  readonly all: readonly Given[];
  readonly devices: ReadonlyMap<string, Given>;
  readonly netdevs: ReadonlyMap<string, Given>;
  readonly objects: ReadonlyMap<string, Given>;
  readonly chardevs: ReadonlyMap<string, Given>;
  readonly drives: ReadonlyMap<string, Given>;
  readonly nodes: ReadonlyMap<string, Given>;
}

/**
 * Reads a command line.
 *
 * @throws {CommandLineError} for broken JSON.
 */
export function givenBy(command: QemuCommand): GivenOptions {
  const all = command.options.map((option, index) => ({ index, value: parseOption(option) }));
  const by = (key: string, ...names: readonly string[]) =>
    new Map(all.flatMap((given): [string, Given][] => {
      if (!names.includes(given.value.option.name)) return [];
      const id = fieldOf(given.value, key);
      return id === undefined ? [] : [[id, given]];
    }));
  return {
    all,
    devices: by("id", "device"),
    netdevs: by("id", "netdev", "nic", "net"),
    objects: by("id", "object"),
    chardevs: by("id", "chardev"),
    drives: by("id", "drive"),
    nodes: new Map([...by("node-name", "blockdev"), ...innerNodes(all)]),
  };
}

/** Nodes that are named inside of another one's -blockdev or -drive. */
function innerNodes(all: readonly Given[]): [string, Given][] {
  return all.filter(({ value }) => /^(blockdev|drive)$/.test(value.option.name)).flatMap((given) =>
    given.value.fields.filter(({ key }) => key.endsWith(".node-name") || key === "node-name")
      .map(({ value }): [string, Given] => [value, given])
  );
}

/** An option of `key=value`; a comma in a value is doubled. */
export function keyValues(fields: readonly (readonly [key: string, value: string])[]): string {
  return fields.map(([key, value], i) => {
    const text = value.replaceAll(",", ",,");
    return i === 0 && key === "" ? text : `${key}=${text}`;
  }).join(",");
}
