import { type Clock, withDeadline } from "../../io/mod.ts";
import { RpcError } from "../../rpc/mod.ts";
import type { DestinationPeer } from "./destination_peer.ts";
import { CAUSE_MS, type FirstCause } from "../first_cause.ts";
import type { Ram } from "./ram.ts";

/**
 * Returns when both QEMUs say that all of the guest has crossed. Only then is it handed over: what
 * can still fail does so while the guest can go on here.
 *
 * @throws {MigrationError} when the source's QEMU could not send it, the destination's reason when
 * that could not load it, the first cause when the migration was given up meanwhile.
 */
export async function giveMemory(
  ram: Ram,
  peer: DestinationPeer,
  stop: FirstCause,
  clock: Clock,
): Promise<void> {
  const loaded = peer.load(stop.signal);
  loaded.catch(() => {});
  try {
    await ram.complete(stop.signal);
  } catch (error) {
    // Where the destination could not load it, that is the cause, and ours only saw a closed socket.
    await withDeadline(clock, CAUSE_MS, "the destination's reason", loaded)
      .catch((reason) => stop.take(reason instanceof RpcError ? reason : error));
    throw error;
  }
  await loaded;
  stop.signal.throwIfAborted();
}
