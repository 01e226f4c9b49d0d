import { withDeadline } from "../../io/mod.ts";
import { RpcError } from "../../rpc/mod.ts";
import { CAUSE_MS } from "../first_cause.ts";
import type { DiscardWatch } from "../guest/discards.ts";
import type { SourceContext } from "./context.ts";
import type { Ram } from "../ram/ram.ts";
import type { Paused } from "./send_ram.ts";

/** Both QEMUs have said that the whole guest has crossed; by post-copy, all of it but a part of its RAM. */
export interface Crossed {
  readonly is: "crossed";
  readonly ram: Ram;
  /** None where another process has copied the disks, and has written that the guest was handed over. */
  readonly discards?: DiscardWatch;
}

/**
 * Ends the mirrors and sends the rest of RAM and the devices. The guest is paused meanwhile. Only then is it
 * handed over: what can still fail does so while the guest can resume here.
 *
 * @throws {MigrationError} when a mirror was not ready, the machine has changed, the source's QEMU could not
 * send the guest, the destination's reason when that could not load it, the first cause when the migration
 * failed meanwhile: the source can resume the guest then.
 */
export async function switchOver(context: SourceContext, paused: Paused): Promise<Crossed> {
  const { signal, guest, machine } = context;
  const { mirrors, ram, discards } = paused;
  const asleep = guest!.asleep;
  let finishing: Promise<void> | undefined;
  let loaded: Promise<unknown> | undefined;
  signal.throwIfAborted();
  context.progress?.stop();
  await context.state.take("stopped", {
    "qemu end-mirrors": () => {
      finishing = mirrors.finish(signal);
      finishing.catch(() => {});
    },
    "report switchover": () => context.phase("switchover"),
    "wait mirrors": () => Promise.all([finishing, machine.look()]),
    "compare disks": () => context.verification?.verdict(signal),
    "call load": () => {
      context.noWayBack = guest!.asleep;
      loaded = context.destination!.peer!.load(signal);
      loaded.catch(() => {});
    },
    "qemu migrate-continue": () => complete(context, ram, loaded!),
    "wait load": () => loaded,
  }, { asleep });
  signal.throwIfAborted();
  return { is: "crossed", ram, discards };
}

/** Where the destination could not load the guest, that is the cause: our QEMU only sees a closed socket. */
async function complete(
  { cause, clock, signal }: SourceContext,
  ram: Ram,
  loaded: Promise<unknown>,
): Promise<void> {
  try {
    await ram.complete(signal);
  } catch (error) {
    await withDeadline(clock, CAUSE_MS, "the destination's reason", loaded)
      .catch((reason) => cause.take(reason instanceof RpcError ? reason : error));
    throw error;
  }
}
