import { type RunProgram } from "../../host/mod.ts";
import {
  blockJob,
  clientVersion,
  type Domain,
  domainState,
  findDomain,
  type HostVersion,
  hostVersion,
  jobInfo,
  listDomains,
  parseCapabilities,
  parseDomain,
  type Virsh,
} from "../../libvirt/mod.ts";
import { attempt } from "./attempt.ts";
import type { Collected } from "./findings.ts";
import { judgeDomain, unknownDomain } from "./source_rules.ts";

/** The source's libvirt and the domain there. */
export interface SourceFacts {
  /** Version of `virsh`. */
  readonly client: string;
  readonly version: HostVersion;
  readonly hostUuid: string | null;
  /** The live domain; `null` where it is unknown or shut off. */
  readonly domain: Domain | null;
}

/** What is needed to look at the source. */
export interface SourceAccess {
  /** Name, UUID or id of the domain. */
  readonly name: string;
  readonly source: Virsh;
  readonly run: RunProgram;
  readonly signal: AbortSignal;
}

/**
 * Looks at the source and judges the domain's state.
 *
 * @returns `undefined` where libvirt does not answer, which is a problem then.
 */
export async function sourceFacts(
  access: SourceAccess,
  found: Collected,
): Promise<SourceFacts | undefined> {
  const { source, signal, run, name } = access;
  // One question first: a libvirt that is not there is one problem.
  const first = Promise.all([
    source.ask(["capabilities"], { signal }),
    findDomain(source, name, { signal }),
  ]);
  first.catch(() => {});
  const version = await attempt(hostVersion(source, { signal }), "source", found);
  if (!version) return undefined;
  return await attempt(look(), "source", found);

  async function look(): Promise<SourceFacts> {
    const [capabilities, listed] = await first;
    const client = version!.client ?? await clientVersion(run);
    const { hostUuid } = parseCapabilities(capabilities);
    const facts = { client, version: version!, hostUuid };
    if (!listed) {
      const names = (await listDomains(source, { signal })).map((domain) => domain.name);
      found.add(unknownDomain(name, names));
      return { ...facts, domain: null };
    }
    return { ...facts, domain: await liveDomain(access, listed.uuid, listed.name, found) };
  }
}

async function liveDomain(
  { source, signal }: SourceAccess,
  uuid: string,
  name: string,
  found: Collected,
): Promise<Domain | null> {
  const [{ state, reason }, live] = await Promise.all([
    domainState(source, uuid, { signal }),
    // Fails where the domain is shut off, which is a problem of its own.
    Promise.allSettled([
      source.ask(["dumpxml", "--domain", uuid], { signal }),
      jobInfo(source, uuid, { signal }),
    ]),
  ]);
  const quiet = { hasJob: false, blockJobs: [], hostdevs: 0, transient: [] };
  if (state === "shut-off" || state === "absent") {
    found.add(judgeDomain({ name, state, reason, ...quiet }));
    return null;
  }
  const [xml, job] = [valueOf(live[0]), valueOf(live[1])];
  const domain = parseDomain(xml);
  const withSource = domain.disks.filter((disk) => disk.device !== "cdrom");
  const blockJobs = await Promise.all(withSource.map(async ({ target }) => {
    const found = await blockJob(source, uuid, target, { signal });
    return found ? [{ target, ...found }] : [];
  }));
  found.add(judgeDomain({
    ...{ name, state, reason, hostdevs: domain.hostdevs },
    hasJob: job.type !== "none",
    blockJobs: blockJobs.flat(),
    transient: domain.disks.filter((disk) => disk.transient).map(({ target }) => target),
  }));
  return domain;
}

function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === "rejected") throw settled.reason;
  return settled.value;
}
