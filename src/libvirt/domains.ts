/**
 * What virsh says about domains. Decisions rest on libvirt's numbers and lists, never on its words.
 *
 * @module
 */
import { type JobInfo, parseJobInfo, parseRawJobInfo } from "./job_info.ts";
import { DOMAIN_REASONS, DOMAIN_STATES } from "./domain_states.ts";
import { type AskOptions, type Virsh, VirshError } from "./virsh.ts";

/** How a domain is. `other`: it is being shut down, has crashed, or sleeps (pmsuspended). */
export type DomainRunState = "absent" | "shut-off" | "running" | "paused" | "other";

/** A domain in a list. */
export interface ListedDomain {
  /** Its name. */
  readonly name: string;
  /** Its UUID, in lower case. */
  readonly uuid: string;
  /** It runs or is paused: it has a QEMU. */
  readonly active: boolean;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** All domains of the host. */
export async function listDomains(virsh: Virsh, options?: AskOptions): Promise<ListedDomain[]> {
  const [uuids, text] = await Promise.all([
    listUuids(virsh, ["list", "--uuid"], options),
    virsh.ask(["list", "--all", "--uuid", "--name"], options),
  ]);
  const active = new Set(uuids);
  return text.split("\n").flatMap((line) => {
    const uuid = line.slice(0, 36).toLowerCase();
    if (!UUID.test(uuid)) return [];
    // Older versions pad the name to a column.
    return [{ uuid, name: line.slice(36).trim(), active: active.has(uuid) }];
  });
}

/**
 * Finds a domain as virsh does: by its id while it is active, by its UUID, by its name.
 *
 * @throws {VirshError} when libvirt does not answer.
 */
export async function findDomain(
  virsh: Virsh,
  nameOrUuidOrId: string,
  options?: AskOptions,
): Promise<ListedDomain | undefined> {
  const domains = await listDomains(virsh, options);
  if (/^\d+$/.test(nameOrUuidOrId)) {
    for (const domain of domains.filter(({ active }) => active)) {
      const id = await unlessAbsent(virsh.ask(["domid", "--domain", domain.uuid], options));
      if (id?.trim() === nameOrUuidOrId) return domain;
    }
  }
  const uuid = nameOrUuidOrId.toLowerCase();
  return domains.find((domain) => domain.uuid === uuid) ??
    domains.find((domain) => domain.name === nameOrUuidOrId);
}

/**
 * How a domain is. `reason` has virsh's words, such as `migrating`.
 *
 * @throws {VirshError} when libvirt does not answer.
 */
export async function domainState(
  virsh: Virsh,
  uuid: string,
  options?: AskOptions,
): Promise<{ state: DomainRunState; reason: string }> {
  const exists = async () =>
    (await listUuids(virsh, ["list", "--all", "--uuid"], options)).includes(uuid.toLowerCase());
  const asking = virsh.ask(["domstats", "--raw", "--state", "--domain", uuid], options);
  const [listed, answer] = await Promise.allSettled([exists(), asking]);
  if (listed.status === "rejected") throw listed.reason;
  if (!listed.value) return { state: "absent", reason: "" };
  if (answer.status === "fulfilled") return parseState(answer.value);
  // It may have gone since.
  if (answer.reason instanceof VirshError && !await exists()) {
    return { state: "absent", reason: "" };
  }
  throw answer.reason;
}

/** A domain's job. */
export async function jobInfo(
  virsh: Virsh,
  uuid: string,
  options?: AskOptions,
): Promise<JobInfo> {
  try {
    return parseRawJobInfo(
      await virsh.ask(["domjobinfo", "--rawstats", "--domain", uuid], options),
    );
  } catch (error) {
    if (!(error instanceof VirshError)) throw error;
    // libvirt before 6.10 does not know `--rawstats`. Any other error comes again.
    return parseJobInfo(await virsh.ask(["domjobinfo", "--domain", uuid], options));
  }
}

/** A job of one disk. */
export interface BlockJob {
  /** Bytes that are done. */
  readonly current: number;
  /** Bytes in all; grows while the guest writes. Equal to `current` in a mirror that is ready. */
  readonly end: number;
}

/** The job of a disk, such as libvirt's mirror to the destination; `undefined` if it has none. */
export async function blockJob(
  virsh: Virsh,
  uuid: string,
  target: string,
  options?: AskOptions,
): Promise<BlockJob | undefined> {
  const args = ["blockjob", "--raw", "--domain", uuid, "--path", target];
  const values = equations(await virsh.ask(args, options));
  const current = Number(values.get("cur"));
  const end = Number(values.get("end"));
  return Number.isFinite(current) && Number.isFinite(end) ? { current, end } : undefined;
}

function parseState(text: string): { state: DomainRunState; reason: string } {
  const values = equations(text);
  const [state, reason] = [Number(values.get("state.state")), Number(values.get("state.reason"))];
  return {
    state: DOMAIN_STATES[state] ?? "other",
    reason: DOMAIN_REASONS[state]?.[reason] ?? "unknown",
  };
}

async function listUuids(
  virsh: Virsh,
  args: readonly string[],
  options?: AskOptions,
): Promise<string[]> {
  const text = await virsh.ask(args, options);
  return text.split("\n").map((line) => line.trim().toLowerCase()).filter((line) =>
    UUID.test(line)
  );
}

/** Lines `name=value`. */
function equations(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split("\n")) {
    const equal = line.indexOf("=");
    if (equal > 0) found.set(line.slice(0, equal).trim(), line.slice(equal + 1).trim());
  }
  return found;
}

async function unlessAbsent(answer: Promise<string>): Promise<string | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof VirshError) return undefined;
    throw error;
  }
}
