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
 * @param host what its vmferry says.
 * @returns `undefined` where its libvirt does not answer, which is a problem then.
 */
export async function destinationFacts(
  host: Result<"describeDomainHost">,
  { destination, signal }: { readonly destination: Virsh; readonly signal: AbortSignal },
  found: Collected,
): Promise<DestinationFacts | undefined> {
  const [domains, itsNetworks, itsPools] = await Promise.all([
    attempt(listDomains(destination, { signal }), "destination", found),
    ifKnown(networks(destination, { signal })),
    ifKnown(pools(destination, { signal })),
  ]);
  if (!domains) return undefined;
  return { host, domains, networks: itsNetworks ?? null, pools: itsPools ?? null };
}
