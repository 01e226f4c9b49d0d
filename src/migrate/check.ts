/**
 * `vmferry check`: finds what would prevent a migration, without changing anything.
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

/** Something that prevents the migration. */
export interface Problem {
  /** The side on which it lies. */
  readonly side: Side;
  /** What is wrong, and what was expected, as a sentence. */
  readonly message: string;
}

/** The result of a check. */
export interface CheckResult {
  /** The role that the inspected QEMU can have in a migration. */
  readonly role: Side;
  /** The inspected sides, with QEMU's version where the peer reports it. */
  readonly ends: readonly { readonly side: Side; readonly qemuVersion: string | null }[];
  /** The disks that would be copied. */
  readonly disks: readonly Disk[];
  /** Each of these prevents the migration (exit 3). */
  readonly problems: readonly Problem[];
  /** The migration works, but not as the user may expect. */
  readonly warnings: readonly string[];
  /** Worth knowing, without anything to do. */
  readonly notes: readonly string[];
  /** How the two machines differ; each is among the problems, warnings or notes too. */
  readonly differences: readonly (Difference & { readonly severity: Severity })[];
}

/** The parts and settings of a check. */
export interface CheckOptions {
  /** QMP of the QEMU that is inspected. */
  readonly qmp: QmpClient;
  /** `--disk` of the role; empty: every disk that can be mirrored. */
  readonly disks: readonly DiskChoice[];
  /** Rules of the comparison of both machines whose refusals the user overrides. */
  readonly allow: readonly RuleName[];
  /** Names of the disks of --shared and of --reuse. */
  readonly shared: readonly string[];
  /** Names of the disks of `--reuse`. */
  readonly reuse: readonly string[];
  /** What a look at the disks' storage needs from the host. */
  readonly host: HostAccess;
  /** Makes a session to the destination; `undefined`: only this side is inspected. */
  readonly connect: ((signal: AbortSignal) => Promise<Session>) | undefined;
  /** Where QEMU may make a socket by which its disks are read. */
  readonly socketPath: string;
  /** Time, injected. */
  readonly clock: Clock;
  /** The debug log. */
  readonly log: Logger;
  /** Aborted when the user cancels. */
  readonly signal: AbortSignal;
}

/**
 * Inspects the QEMU of `qmp`: as a destination if it waits for a migration and there is no `connect`, else
 * as a source. A source with `connect` also asks the destination whether it would accept the guest.
 *
 * @throws {SessionError} when the destination cannot be reached or rejects the session.
 * @throws {QmpError | QmpCommandError} when QEMU does not answer.
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
    await peer.untilReady("prepare", options.signal);
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
 * Inspects a destination's QEMU before a source connects.
 *
 * @throws {MigrationError} kind `refused`, code `destination-not-fit`, when it cannot receive a guest or
 * lacks a disk of `choices`.
 */
export async function checkDestination(
  qmp: QmpClient,
  choices: readonly DiskChoice[],
): Promise<void> {
  const problems = await destinationProblems(qmp, await inspectGuest(qmp));
  problems.push(...selectLocals(await listDisks(qmp), choices).problems);
  if (problems.length > 0) throw refusal("destination-not-fit", "destination", problems);
}
