/**
 * What can be known before a migration; changes nothing.
 *
 * @module
 */
import type { Clock, Logger } from "../io/mod.ts";
import { type Disk, listDisks, type QmpClient } from "../qmp/mod.ts";
import { type DiskDescription, RpcError } from "../rpc/mod.ts";
import type { Session } from "../tunnel/mod.ts";
import { DestinationPeer } from "./source/destination_peer.ts";
import { refusal } from "./errors.ts";
import type { Side } from "./events.ts";
import {
  compareWith,
  type Difference,
  judge,
  NOT_COMPARED,
  type RuleName,
  type Severity,
  staysBehindIn,
  takeInventory,
  worded,
} from "./machine/mod.ts";
import { destinationProblems, inspectGuest, sourceProblems } from "./guest/inspect.ts";
import {
  type DiskChoice,
  divideShared,
  notCopied,
  selectLocals,
  selectOwn,
  staysBehind,
  unmovable,
} from "./disks/plan.ts";
import { runs, versionOf } from "./guest/run_states.ts";
import { needsSinglePass, singlePassWarning } from "./guest/single_pass.ts";
import type { HostAccess } from "./storage/access.ts";
import { compareStorage } from "./storage/compare.ts";

/** Something that stands in the way. */
export interface Problem {
  readonly side: Side;
  readonly message: string;
}

/** What a check found. */
export interface CheckResult {
  /** What the QEMU that was asked can be in a migration. */
  readonly role: Side;
  /** The ends that were looked at, with their QEMUs' versions where they told them. */
  readonly ends: readonly { readonly side: Side; readonly qemuVersion: string | null }[];
  /** The disks that would go or come. */
  readonly disks: readonly Disk[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
  /** Worth knowing; nothing to be done about it. */
  readonly notes: readonly string[];
  /** How the two machines differ; each is among the problems, warnings or notes too. */
  readonly differences: readonly (Difference & { readonly severity: Severity })[];
}

export interface CheckOptions {
  readonly qmp: QmpClient;
  /** The disks to take, or where they go; none = every one that can be mirrored. */
  readonly disks: readonly DiskChoice[];
  /** Rules of the comparison of both machines whose refusals the user overrides. */
  readonly allow: readonly RuleName[];
  /** Names of disks that both ends share, and of those that the destination has old copies of. */
  readonly shared: readonly string[];
  readonly reuse: readonly string[];
  readonly host: HostAccess;
  /** Makes a session to the destination, and says where sockets can be; none = only this end is looked at. */
  readonly connect: ((signal: AbortSignal) => Promise<Session>) | undefined;
  readonly socketPath: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Looks at the QEMU behind `qmp`: as a destination when it waits for a migration and no other
 * destination is named, else as a source; then asks the destination whether it would take it.
 *
 * @throws {SessionError} when the destination can't be reached or will not have us.
 */
export async function checkMigration(options: CheckOptions): Promise<CheckResult> {
  const { qmp, connect } = options;
  const guest = await inspectGuest(qmp);
  const role: Side = guest.status === "inmigrate" && !connect ? "destination" : "source";
  const all = await listDisks(qmp);
  const [selection, found] = role === "source"
    ? [selectOwn(all, options.disks), await sourceProblems(qmp, guest)]
    : [selectLocals(all, options.disks), await destinationProblems(qmp, guest)];
  const isSource = role === "source";
  const { copied, shared, problems: unknown } = divideShared(all, selection.disks, options);
  const more = isSource ? [...unknown, ...unmovable(copied)] : [];
  const problems: Problem[] = [...found, ...selection.problems, ...more]
    .map((message) => ({ side: role, message }));
  const { shared: warnings, media } = notCopied(all.filter((disk) => !shared.includes(disk)));
  if (isSource) warnings.push(...staysBehind(copied));
  if (isSource && runs(guest.status) && await needsSinglePass(qmp)) {
    warnings.push(singlePassWarning(qmp));
  }
  const inventory = isSource ? await takeInventory(qmp) : undefined;
  const differences = inventory ? staysBehindIn(inventory) : [];
  const ends: { side: Side; qemuVersion: string | null }[] = [
    { side: role, qemuVersion: versionOf(qmp) },
  ];
  const result = () => {
    const { refused, warned, noted } = judge(differences, options.allow);
    const own = inventory ? staysBehindIn(inventory).map(({ message }) => message) : [];
    const sideOf = ({ message }: Difference): Side =>
      own.includes(message) ? "source" : "destination";
    return {
      ...{ role, ends, disks: copied },
      problems: [...refused.map((d) => ({ side: sideOf(d), message: worded(d) })), ...problems],
      warnings: [...warnings, ...warned.map(({ message }) => message)],
      notes: [...media, ...noted.map(({ message }) => message)],
      differences: [
        ...refused.map((d) => ({ ...d, severity: "refuse" as const })),
        ...warned.map((d) => ({ ...d, severity: "warn" as const })),
        ...noted.map((d) => ({ ...d, severity: "note" as const })),
      ],
    };
  };
  if (!connect) return result();

  const peer = new DestinationPeer(await connect(options.signal), options);
  try {
    const found = inventory && await compareWith(peer, inventory, qmp, options.signal);
    if (found) differences.push(...found);
    else warnings.push(NOT_COMPARED);
    const disks = copied.map(described);
    const staying = shared.map(described);
    const storage = await compareStorage({
      access: { ...options.host, ...options },
      ...{ peer, disks: all, copied: disks, shared: staying, reuse: options.reuse },
      signal: options.signal,
    });
    warnings.push(...storage.warnings);
    problems.push(
      ...storage.problems.map((message) => ({ side: "destination" as const, message })),
    );
    const answer = await peer.prepare({
      ...{ migration: crypto.randomUUID(), guest: guest.description, disks, checkOnly: true },
      shared: staying.length > 0 ? staying : null,
    }, options.signal);
    warnings.push(...answer.warnings);
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== "refused") throw error;
    const each = error.problems.length > 0 ? error.problems : [error.message];
    problems.push(...each.map((message) => ({ side: "destination" as const, message })));
  } finally {
    ends.push({ side: "destination", qemuVersion: peer.qemuVersion });
    await peer.close();
  }
  return result();
}

function described({ name, sizeBytes, format }: Disk): DiskDescription {
  return { name, sizeBytes, format };
}

/**
 * Looks at a destination's QEMU before any source is there.
 *
 * @throws {MigrationError} kind `refused`, when it can't receive or has not the disks that were named.
 */
export async function checkDestination(
  qmp: QmpClient,
  choices: readonly DiskChoice[],
): Promise<void> {
  const problems = await destinationProblems(qmp, await inspectGuest(qmp));
  problems.push(...selectLocals(await listDisks(qmp), choices).problems);
  if (problems.length > 0) throw refusal("destination-not-fit", "destination", problems);
}
