/**
 * A pair whose RAM follows its guest for some seconds.
 *
 * @module
 */
import type { Network } from "../support/network.ts";
import type { ScenarioContext } from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";
import { filledMemory } from "./filled_memory.ts";
import { MiB } from "./pair_options.ts";
import { Pair } from "./pair.ts";

/** Options of `migrate`: most of 128 MiB crosses after the guest, in about ten seconds. */
export const FOLLOWING = followingAt("12M");

/** The same at another bandwidth, which counts what crosses: compressed, RAM would follow too fast. */
export function followingAt(bandwidth: string): readonly string[] {
  return ["--postcopy-after", "1", "--bandwidth", bandwidth, "--compress", "off"];
}

export interface FollowingOptions {
  /** Directory of the pair; it is made. Default: the scenario's. */
  readonly name?: string;
  readonly network?: Network;
  readonly gated?: boolean;
}

/** Starts two QEMUs whose guest has 128 MiB of RAM in use. */
export async function startFollowing(
  context: ScenarioContext,
  { name, ...more }: FollowingOptions = {},
): Promise<Pair> {
  const dir = name === undefined ? context.dir : `${context.dir}/${name}`;
  if (name !== undefined) await Deno.mkdir(dir);
  const memory = await filledMemory(`${dir}/memory`);
  return await Pair.start(context, {
    ...{ dir, bytes: 8 * MiB, memoryMiB: 128, ...more },
    ...{ sourceExtra: memory.source, destinationExtra: memory.destination },
  });
}

/** Waits until the guest runs at the destination and a part of its RAM is at the source. */
export async function untilFollows(migrate: Vmferry): Promise<void> {
  await migrate.waitEvent("progress", (e) => e.phase === "postcopy");
}
