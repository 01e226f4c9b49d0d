import { domainState, parseRawJobInfo, type Virsh } from "../../libvirt/mod.ts";
import { QUERY_MS } from "./waits.ts";

/** A migration's last figures; `null` where libvirt does not have them. */
export interface Arrival {
  /** The state at the destination, such as `running`. */
  readonly guest: string | null;
  /** QEMU's figure. */
  readonly downtimeMs: number | null;
}

/** The domain at the destination, and its downtime; both hosts have the same figure. Never rejects. */
export async function lookAtArrival(
  source: Virsh,
  destination: Virsh,
  uuid: string,
): Promise<Arrival> {
  const [state, downtimeMs] = await Promise.all([
    domainState(destination, uuid, { timeoutMs: QUERY_MS }).catch(() => undefined),
    downtime(destination, uuid),
  ]);
  return {
    guest: state?.state ?? null,
    downtimeMs: downtimeMs ?? await downtime(source, uuid),
  };
}

/** The downtime that a host's libvirt knows of the last migration. Never rejects. */
export async function downtime(virsh: Virsh, uuid: string): Promise<number | null> {
  const args = ["domjobinfo", "--completed", "--keep-completed", "--rawstats", "--domain", uuid];
  const text = await virsh.ask(args, { timeoutMs: QUERY_MS }).catch(() => "");
  return parseRawJobInfo(text).downtimeMs;
}
