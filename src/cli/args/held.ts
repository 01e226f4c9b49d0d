import { type Given, unique } from "./given.ts";

/** What the destination has on its disks already, by the user's word: names of disks. */
export interface Held {
  readonly shared: readonly string[];
  readonly reuse: readonly string[];
}

/** Reads `--shared` and `--reuse`, which exclude each other for a disk. */
export function heldOf(given: Given): Held {
  const shared = unique(given, given.many("shared"), (d) => d);
  const reuse = unique(given, given.many("reuse"), (d) => d);
  const both = shared.find((name) => reuse.includes(name));
  if (both !== undefined) given.fail(`--shared ${both} and --reuse ${both} exclude each other`);
  return { shared, reuse };
}
