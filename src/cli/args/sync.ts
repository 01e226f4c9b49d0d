/**
 * `--sync`, `--verify-base`, `--delta` and `--verify`: what crosses of a disk, and its comparison. Pure.
 *
 * @module
 */
import type { Given } from "./given.ts";

/** What crosses of each disk. */
export interface SyncArguments {
  /** `top`: the uppermost image alone. */
  readonly sync: "full" | "top";
  /** Compare the contents of the backing files. */
  readonly verifyBase: boolean;
  /** What the destination's disks hold already is not sent. */
  readonly delta: boolean;
  /** Both ends' disks are compared before the guest moves. */
  readonly verify: boolean;
}

/** Reads them; without `--sync` everything crosses. */
export function syncOf(given: Given): SyncArguments {
  const sync = given.read("sync", parseSync, "full or top") ?? "full";
  const verifyBase = given.has("verify-base");
  if (verifyBase && sync !== "top") given.fail("--verify-base goes with --sync top only");
  return { sync, verifyBase, delta: given.has("delta"), verify: given.has("verify") };
}

function parseSync(text: string): "full" | "top" | undefined {
  return text === "full" || text === "top" ? text : undefined;
}
