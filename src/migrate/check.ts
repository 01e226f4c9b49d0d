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
import { MigrationError, refusal } from "./errors.ts";
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
import { destinationProblems, inspectGuest, isMigrating, sourceProblems } from "./guest/inspect.ts";
import {
  type DiskChoice,
  divideShared,
  encryptedOf,
  selectLocals,
  selectOwn,
} from "./disks/plan.ts";
import { copiedThoughShared, notCopied, staysBehind, unmovable } from "./disks/stays.ts";
import { runs, versionOf } from "./guest/run_states.ts";
import { needsSinglePass, singlePassWarning } from "./guest/single_pass.ts";
import { NO_DELTA_THERE } from "./delta/mod.ts";
import { NO_VERIFY_THERE, verifyProblems } from "./verify/mod.ts";
import { NO_MULTIFD_THERE } from "./multifd.ts";
import { NO_POSTCOPY_THERE } from "./postcopy/mod.ts";
import { ramProblems } from "./ram/problems.ts";
import type { RamChoices } from "./ram_choices.ts";
import type { HostAccess } from "./storage/access.ts";
import { compareBases } from "./storage/compare_bases.ts";
import { compareStorage } from "./storage/compare.ts";
import { ExportsInUseError, readersOf } from "./storage/left_exports.ts";

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

const BEGUN = "A migration of this guest has begun while vmferry checked it ('vmferry status')";

/** The parts and settings of a check. */
export interface CheckOptions {
  /** QMP of the QEMU that is inspected. */
  readonly qmp: QmpClient;
  /** `--disk` of the role; empty: every disk that can be mirrored. */
  readonly disks: readonly DiskChoice[];
  /** Rules of the comparison of both machines whose refusals the user overrides. */
  readonly allow: readonly RuleName[];
  /** How RAM would cross. Default: as pre-copy in one stream. */
  readonly ram?: RamChoices;
  /** Names of the disks of --shared and of --reuse. */
  readonly shared: readonly string[];
  /** Names of the disks of `--reuse`. */
  readonly reuse: readonly string[];
  /** `top`: the destination must have the backing files. */
  readonly sync?: "full" | "top";
  /** With `top`: their contents must be the same, too. */
  readonly verifyBase?: boolean;
  /** What the destination's disks hold already is not to be sent. Default: false. */
  readonly delta?: boolean;
  /** Both ends' disks are to be compared before the guest moves. Default: false. */
  readonly verify?: boolean;
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
  const begun = new AbortController();
  // Mirrors that begin meanwhile soon need QEMU's only NBD server.
  const stopEvents = options.qmp.onEvent(({ event, data }) => {
    if (event !== "JOB_STATUS_CHANGE" || data.status !== "created") return;
    if (!String(data.id).startsWith("vmferry-")) return;
    begun.abort(new MigrationError("refused", "qemu-in-use", "source", BEGUN));
  });
  try {
    return await look({ ...options, signal: AbortSignal.any([options.signal, begun.signal]) });
  } catch (error) {
    begun.signal.throwIfAborted();
    throw error;
  } finally {
    stopEvents();
  }
}

async function look(options: CheckOptions): Promise<CheckResult> {
  const { qmp, connect } = options;
  const guest = await inspectGuest(qmp);
  const role: Side = guest.status === "inmigrate" && !connect ? "destination" : "source";
  const isSource = role === "source";
  const all = await listDisks(qmp);
  const [selection, found] = isSource
    ? [selectOwn(all, options.disks), await sourceProblems(qmp, guest)]
    : [selectLocals(all, options.disks), await destinationProblems(qmp, guest)];
  const isNamed = !isSource || options.disks.length > 0;
  const division = divideShared(all, selection.disks, options, isNamed);
  const { copied, shared, implied, problems: unknown } = division;
  const readers = await readersOf(qmp, options.host.processes);
  // What a check makes in QEMU would be in the way of those who use it.
  const mayRead = isSource && guest.status !== "inmigrate" && readers.length === 0 &&
    !await isMigrating(qmp);
  const multifd = options.ram?.multifd ?? null;
  const more = [
    ...isSource ? [...unknown, ...unmovable(copied)] : [],
    ...await ramProblems(qmp, role, options.ram),
    ...readers.length > 0 ? [new ExportsInUseError(readers).message] : [],
    ...mayRead && options.verify ? await verifyProblems({ ...options.host, ...options }) : [],
  ];
  const problems: Problem[] = [...found, ...selection.problems, ...more]
    .map((message) => ({ side: role, message }));
  const { shared: warnings, media } = notCopied(
    all.filter((disk) => !copied.includes(disk) && !options.shared.includes(disk.name)),
  );
  if (isSource) warnings.push(...staysBehind(copied), ...copiedThoughShared(copied));
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
    if (mayRead) {
      const storage = await compareStorage({
        access: { ...options.host, ...options },
        ...{ peer, disks: all, copied: disks, shared: staying, implied, reuse: options.reuse },
        signal: options.signal,
      });
      warnings.push(...storage.warnings);
      problems.push(
        ...storage.problems.map((message) => ({ side: "destination" as const, message })),
      );
      problems.push(...await baseProblems(options, peer, { disks: all, copied: disks }));
    }
    const answer = await peer.prepare({
      ...{ migration: crypto.randomUUID(), guest: guest.description, disks, checkOnly: true },
      shared: staying.length > 0 ? staying : null,
      encrypted: encryptedOf(all, disks),
      multifd,
      postcopy: options.ram?.postcopy ? { preempt: false } : null,
    }, options.signal);
    if (options.ram?.postcopy && !answer.postcopy) {
      problems.push({ side: "destination", message: NO_POSTCOPY_THERE });
    }
    if (multifd && !answer.multifd) {
      problems.push({ side: "destination", message: NO_MULTIFD_THERE });
    }
    if (options.verify && !answer.hashes) {
      problems.push({ side: "destination", message: NO_VERIFY_THERE });
    }
    if (options.delta && !answer.hashes) {
      problems.push({ side: "destination", message: NO_DELTA_THERE });
    }
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

/** What keeps the uppermost images from crossing alone. */
async function baseProblems(
  { sync, verifyBase: verify = false, ...options }: CheckOptions,
  peer: DestinationPeer,
  disks: { readonly disks: readonly Disk[]; readonly copied: readonly DiskDescription[] },
): Promise<Problem[]> {
  if (sync !== "top") return [];
  const { signal } = options;
  try {
    const access = { ...options.host, ...options };
    await compareBases({ access, peer, ...disks, verify, onProgress: () => {}, signal });
    return [];
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    return error.problems.map((message) => ({ side: "destination", message }));
  }
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
