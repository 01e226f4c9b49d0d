import type { QmpClient } from "../../qmp/mod.ts";
import { type Inventory, RpcError } from "../../rpc/mod.ts";
import type { DestinationPeer } from "../source/destination_peer.ts";
import { compareMachines } from "./compare.ts";
import { wordsDiffer } from "./compare_cpus.ts";
import { cpuFeatures } from "./inventory.ts";
import type { Difference } from "./rules.ts";

/**
 * Compares the source's machine with the destination's.
 *
 * @returns `undefined` where the destination's vmferry is older than this comparison.
 * @throws as {@link DestinationPeer} and {@link QmpClient} do.
 */
export async function compareWith(
  peer: DestinationPeer,
  source: Inventory,
  qmp: QmpClient,
  signal: AbortSignal,
): Promise<Difference[] | undefined> {
  const destination = await peer.describe(signal).catch((error) => {
    if (error instanceof RpcError && error.code === "unknown-procedure") return undefined;
    throw error;
  });
  if (!destination) return undefined;
  if (!wordsDiffer(source.machine.cpu, destination.machine.cpu)) {
    return compareMachines(source, destination);
  }
  const [here, there] = await Promise.all([cpuFeatures(qmp), peer.cpuFeatures(signal)]);
  return compareMachines(source, destination, { source: here, destination: there });
}

/** The warning for a destination that cannot be compared. */
export const NOT_COMPARED =
  "the destination's vmferry is older and does not describe its machine: " +
  "the machines' devices and CPUs were not compared";

/** The message for a refused difference, with its rule for `--allow` in brackets. */
export function worded({ rule, message }: Difference): string {
  return `${message} [${rule}]`;
}
