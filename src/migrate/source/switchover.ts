import { withDeadline } from "../../io/mod.ts";
import { RpcError } from "../../rpc/mod.ts";
import { CAUSE_MS } from "../first_cause.ts";
import type { DiscardWatch } from "../guest/discards.ts";
import type { SourceContext } from "./context.ts";
import type { DestinationPeer } from "./destination_peer.ts";
import type { Ram } from "./ram.ts";
import type { Paused } from "./send_ram.ts";

/** Both QEMUs have said that the whole guest has crossed, and the journal says `handover`. */
export interface Crossed {
  readonly is: "crossed";
  /** None where another process has copied the disks. */
  readonly discards?: DiscardWatch;
}

/**
 * Ends the mirrors and sends the rest of RAM and the devices. The guest is paused meanwhile.
 *
 * @throws {MigrationError} when a mirror was not ready, the machine has changed, or as {@link complete}
 * does: the source can resume the guest then.
 */
export async function switchOver(context: SourceContext, paused: Paused): Promise<Crossed> {
  const { signal } = context;
  const { mirrors, ram, discards } = paused;
  signal.throwIfAborted();
  context.progress?.stop();
  // QEMU gets its command before anything else is done: every moment adds to the downtime.
  const finishing = mirrors.finish(signal);
  finishing.catch(() => {});
  const written = context.state.passStopped(context.guest!.asleep);
  written.catch((error) => context.fault(error));
  context.phase("switchover");
  await Promise.all([finishing, context.machine.look()]);
  signal.throwIfAborted();
  context.noWayBack = context.guest!.asleep;
  await complete(context, ram, context.destination!.peer!);
  // Written before `finish` is sent: from here on only the destination's answer brings the guest back.
  await context.enter("crossed", { wasRunning: context.guest!.shouldRun });
  return { is: "crossed", discards };
}

/**
 * Returns when both QEMUs say that the whole guest has crossed. Only then is it handed over: what can still
 * fail does so while the guest can resume here.
 *
 * @throws {MigrationError} when the source's QEMU could not send it, the destination's reason when
 * that could not load it, the first cause when the migration failed meanwhile.
 */
async function complete(
  { cause, clock, signal }: SourceContext,
  ram: Ram,
  peer: DestinationPeer,
): Promise<void> {
  const loaded = peer.load(signal);
  loaded.catch(() => {});
  try {
    await ram.complete(signal);
  } catch (error) {
    // Where the destination could not load it, that is the cause: our QEMU only sees a closed socket.
    await withDeadline(clock, CAUSE_MS, "the destination's reason", loaded)
      .catch((reason) => cause.take(reason instanceof RpcError ? reason : error));
    throw error;
  }
  await loaded;
  signal.throwIfAborted();
}
