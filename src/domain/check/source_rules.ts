/**
 * Rules on the domain at the source and on both libvirts. Pure.
 *
 * @module
 */
import { closestString } from "@std/text/closest-string";
import { levenshteinDistance } from "@std/text/levenshtein-distance";
import {
  type BlockJob,
  isAtLeast,
  type ListedDomain,
  type MigrateOptions,
  OLDEST_LIBVIRT,
} from "../../libvirt/mod.ts";
import { NO_DELTA_THERE } from "../../migrate/mod.ts";
import type { Result } from "../../rpc/mod.ts";
import { Collected, type Findings } from "./findings.ts";

/** Most names in a message. */
const MOST_NAMES = 8;

/** The source's domain, as libvirt has it now. */
export interface DomainState {
  readonly name: string;
  /** As `domainState` of src/libvirt has it. */
  readonly state: string;
  /** libvirt's reason, such as `migrating`. */
  readonly reason: string;
  /** It has a job, such as another migration. */
  readonly hasJob: boolean;
  /** The block jobs of its disks. */
  readonly blockJobs: readonly (BlockJob & { readonly target: string })[];
  readonly hostdevs: number;
  /** Targets of disks whose changes libvirt drops at the end. */
  readonly transient: readonly string[];
}

/** The problem that the source has no domain by this name. */
export function unknownDomain(given: string, names: readonly string[]): Findings {
  const found = new Collected();
  const near = closest(given, names);
  const listed = names.slice(0, MOST_NAMES).join(", ") + (names.length > MOST_NAMES ? ", …" : "");
  const others = near !== undefined
    ? `Did you mean ${near}?`
    : names.length === 0
    ? "Its libvirt has no domains: check --connect"
    : `Its domains: ${listed}`;
  found.problem("source", "no-domain", `there is no domain ${given}. ${others}`);
  return found;
}

/** Judges whether the domain can be migrated as it is now. */
export function judgeDomain(domain: DomainState): Findings {
  const found = new Collected();
  const { name, state, reason } = domain;
  if (state === "shut-off" || state === "absent") {
    found.problem(
      "source",
      "domain-not-running",
      `domain ${name} is shut off, expected a running domain: nothing runs that could be moved. ` +
        `Start it, or move its definition with 'virsh dumpxml ${name}' here and 'virsh define' at the ` +
        "destination",
    );
    return found;
  }
  if (state === "other") {
    found.problem(
      "source",
      "domain-not-running",
      `domain ${name} is in the state "${reason}", expected running or paused. Wait until it has left ` +
        `that state ('virsh domstate ${name} --reason')`,
    );
  }
  if (domain.hasJob) {
    found.problem(
      "source",
      "domain-busy",
      `domain ${name} has an active job, such as another migration or a backup, expected none. See ` +
        `'virsh domjobinfo ${name}'; wait for its end, or end it with 'virsh domjobabort ${name}'`,
    );
  } else if (state === "paused" && reason === "migrating") {
    found.problem(
      "source",
      "cut-off",
      `domain ${name} is paused by an earlier migration that was cut off, and the destination may run it. ` +
        `'vmferry domain ${name} DESTINATION' with the same destination finds out and settles it`,
    );
  }
  for (const { target, current, end } of domain.blockJobs) {
    const done = end === 0 ? "" : ` (${Math.floor(current * 100 / end)} %)`;
    found.problem(
      "source",
      "domain-busy",
      `disk ${target} has an active block job${done}, expected none. Wait for its end, or end it with ` +
        `'virsh blockjob ${name} ${target} --abort'`,
    );
  }
  for (const target of domain.transient) {
    found.problem(
      "source",
      "domain-not-movable",
      `disk ${target} is transient, which libvirt does not migrate. Start the domain without <transient/>`,
    );
  }
  if (domain.hostdevs > 0) {
    found.warnings.push(
      `domain ${name} has ${
        count(domain.hostdevs, "device")
      } of its host (hostdev). libvirt refuses to ` +
        "migrate most of them: detach them first with 'virsh detach-device'",
    );
  }
  return found;
}

/** Versions and identities of both libvirts; `null` where unknown. */
export interface Ends {
  /** Version of the source's `virsh`. */
  readonly client: string | null;
  /** Version of the source's daemon. */
  readonly source: string | null;
  readonly destination: string | null;
  /** Host UUIDs, as `virsh capabilities` has them. */
  readonly sourceUuid: string | null;
  readonly destinationUuid: string | null;
}

/** Judges the versions of libvirt, and whether there are two hosts. */
export function judgeEnds(ends: Ends): Findings {
  const found = new Collected();
  const check = (side: "source" | "destination", what: string, version: string | null) => {
    if (version === null || isAtLeast(version, OLDEST_LIBVIRT)) return;
    found.problem(
      side,
      "virsh-too-old",
      `${what} is version ${version}, expected ${OLDEST_LIBVIRT} or later: older ones do not migrate disks ` +
        "through UNIX sockets. Update libvirt there",
    );
  };
  check("source", "virsh", ends.client);
  check("source", "the libvirt daemon", ends.source);
  check("destination", "the libvirt daemon", ends.destination);
  const { sourceUuid, destinationUuid } = ends;
  if (sourceUuid !== null && sourceUuid.toLowerCase() === destinationUuid?.toLowerCase()) {
    found.problem(
      "destination",
      "same-host",
      `the host UUID is ${destinationUuid} at both ends, expected two hosts: libvirt refuses a migration ` +
        "to itself. Give another DESTINATION, or set host_uuid in the destination's libvirtd.conf " +
        "or virtqemud.conf if the hosts only look the same",
    );
  }
  return found;
}

/**
 * Judges whether the destination has room for a domain of this name and UUID. A shut-off domain with both is
 * no problem: libvirt starts it from the migration and keeps its definition.
 *
 * @param domain its name is the one at the destination.
 */
export function judgeNames(
  domain: { readonly name: string; readonly uuid: string },
  others: readonly ListedDomain[],
): Findings {
  const found = new Collected();
  const { name, uuid } = domain;
  for (const other of others) {
    const isSame = other.uuid.toLowerCase() === uuid.toLowerCase();
    if (isSame && other.active) {
      found.problem(
        "destination",
        "domain-exists",
        `domain ${other.name} with the same UUID ${uuid} is active already, expected none. The guest may run ` +
          "twice: find out which one is right before you end either",
      );
    } else if (isSame && other.name !== name) {
      found.problem(
        "destination",
        "domain-exists",
        `the UUID ${uuid} belongs to domain ${other.name}, expected the name ${name}. Remove that ` +
          `definition with 'virsh undefine ${other.name}', or add -- --dname ${other.name}`,
      );
    } else if (!isSame && other.name === name) {
      found.problem(
        "destination",
        "domain-exists",
        `there is another domain ${name}, with the UUID ${other.uuid}; the source's is ${uuid}. Rename it with ` +
          "'virsh domrename', or choose another name for this one with -- --dname NAME",
      );
    }
  }
  return found;
}

/** `1 device`, `2 devices`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

/** The candidate that a mistyped word most likely means. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  if (candidates.length === 0) return undefined;
  const near = closestString(word, candidates, { caseSensitive: true });
  const most = Math.max(2, Math.floor(word.length / 3));
  return levenshteinDistance(word, near) <= most ? near : undefined;
}

/**
 * What prevents `--delta`, which compares what QEMU sends with what the destination's NBD server has. Pure.
 *
 * @param there the destination; `undefined` where it does not answer.
 */
export function judgeDelta(
  { tls }: Pick<MigrateOptions, "tls">,
  there: Pick<Result<"describeDomainHost">, "hashes"> | undefined,
): Findings {
  const found = new Collected();
  if (there && !there.hashes) {
    found.problem("destination", "unknown-procedure", NO_DELTA_THERE);
  }
  if (tls) {
    const message = "--delta does not go with --tls: QEMU would encrypt the disks before vmferry " +
      "can compare them. The tunnel is encrypted by ssh://, tls:// or a ticket";
    found.problem("source", "option-refused", message);
  }
  return found;
}
