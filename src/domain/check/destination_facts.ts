import {
  listDomains,
  type ListedDomain,
  type Network,
  networks,
  type Pool,
  pools,
  type Virsh,
} from "../../libvirt/mod.ts";
import type { Result } from "../../rpc/mod.ts";
import { attempt, ifKnown } from "./attempt.ts";
import type { Collected } from "./findings.ts";
import type { DomainFactsPeer } from "./options.ts";

/** The destination's libvirt and host. */
export interface DestinationFacts {
  readonly host: Result<"describeDomainHost">;
  readonly domains: readonly ListedDomain[];
  /** `null`: libvirt does not list them. */
  readonly networks: readonly Network[] | null;
  /** `null`: libvirt does not list them. */
  readonly pools: readonly Pool[] | null;
}

/**
 * Looks at the destination.
 *
 * @returns `undefined` where its libvirt does not answer, which is a problem then.
 */
export async function destinationFacts(
  { peer, destination, signal }: {
    readonly peer: DomainFactsPeer;
    readonly destination: Virsh;
    readonly signal: AbortSignal;
  },
  found: Collected,
): Promise<DestinationFacts | undefined> {
  const host = await attempt(peer.describeDomainHost(signal), "destination", found);
  if (!host) return undefined;
  const [domains, itsNetworks, itsPools] = await Promise.all([
    attempt(listDomains(destination, { signal }), "destination", found),
    ifKnown(networks(destination, { signal })),
    ifKnown(pools(destination, { signal })),
  ]);
  if (!domains) return undefined;
  return { host, domains, networks: itsNetworks ?? null, pools: itsPools ?? null };
}
