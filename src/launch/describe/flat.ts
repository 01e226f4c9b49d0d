/**
 * Command lines for images that arrive flat, without those below them. Pure.
 *
 * @module
 */
import { fieldOf, parseOption, type QemuCommand } from "../command/mod.ts";
import type { ChangedOption } from "../description.ts";
import { Edits } from "./edits.ts";
import type { GivenOptions } from "./given.ts";
import type { Opening } from "./openings.ts";

const BACKING = /^((?:[\w-]+\.)*?backing)(\.|$)/;

/**
 * Changes for each disk whose options name the image below: without them QEMU would put the flat image
 * on top of it again.
 */
export function flatChanges(
  command: QemuCommand,
  given: GivenOptions,
  openings: ReadonlyMap<string, Opening>,
): Record<string, ChangedOption[]> {
  const found: Record<string, ChangedOption[]> = {};
  for (const [name, { root }] of openings) {
    const edits = new Edits(command);
    const dropped: string[] = [];
    for (const index of optionsBelow(root, given)) {
      const { fields, option } = parseOption(command.options[index]!);
      if (option.name !== "blockdev" && option.name !== "drive") continue;
      const isJson = option.value!.startsWith("{");
      for (const { key, value } of fields) {
        const outer = BACKING.exec(key)?.[1];
        if (outer === undefined) continue;
        // In JSON the image below is one member, else each key of it is one.
        edits.set(index, isJson ? outer : key, null);
        if (given.nodes.has(value)) dropped.push(value);
      }
    }
    for (const node of dropped) {
      for (const index of optionsBelow(given.nodes.get(node)!.index, given, true)) {
        edits.drop(index);
      }
    }
    const changes = edits.result();
    if (changes.length > 0) found[name] = changes;
  }
  return found;
}

/** Indexes of an option and of those that it refers to by `file=`, and with `all` by `backing=`. */
function optionsBelow(index: number, given: GivenOptions, all = false): number[] {
  const indexes = new Set<number>();
  const visit = (at: number) => {
    if (indexes.has(at)) return;
    indexes.add(at);
    const { value } = given.all[at]!;
    for (const key of all ? ["file", "backing"] : ["file"]) {
      const below = given.nodes.get(fieldOf(value, key) ?? "");
      if (below) visit(below.index);
    }
  };
  visit(index);
  return [...indexes];
}
