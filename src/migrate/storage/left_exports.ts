/**
 * What comparisons have made in a QEMU: of this process, of killed ones, and of others that run.
 *
 * @module
 */
import { type Clock, delay, type Logger, messageOf } from "../../io/mod.ts";
import { type QmpClient, QmpCommandError } from "../../qmp/mod.ts";
import { removeExports } from "../disks/nbd_exports.ts";
import { MigrationError } from "../errors.ts";
import type { Side } from "../events.ts";
import type { Processes } from "./access.ts";

/** Prefix of all names of a comparison; the mark of its process follows. */
export const PREFIX = "vmferry-compare-";

/** Tries to remove a node that its export still uses, and the time between them, ms. */
const GO_TRIES = 50;
const GO_MS = 20;

/** Another running process of vmferry reads the disks of this QEMU. */
export class ExportsInUseError extends Error {
  override name = "ExportsInUseError";

  /** @param who the processes, as {@link Processes.running} names them. */
  constructor(who: Iterable<string>) {
    super(
      `The disks of this QEMU are being read through another QMP socket by ${
        [...who].join(" and ")
      }. Wait for the end of that and try again`,
    );
  }
}

export interface LeftOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly processes: Processes;
}

/**
 * The running processes, other than this one, that read the disks of this QEMU, as text for the user.
 *
 * @throws {QmpError | QmpCommandError} when QEMU does not answer.
 */
export async function readersOf(qmp: QmpClient, processes: Processes): Promise<string[]> {
  return await runningOthers(await namesIn(qmp), processes);
}

/**
 * Removes exports and nodes that this process or a killed one has left in QEMU.
 *
 * @throws {ExportsInUseError} when another running process has some: then nothing is removed.
 * @throws {Error} when QEMU keeps an export.
 */
export async function removeLeft(qmp: QmpClient, options: LeftOptions): Promise<void> {
  const names = await namesIn(qmp);
  const others = await runningOthers(names, options.processes);
  if (others.length > 0) throw new ExportsInUseError(others);
  const left = names.exports.map((id) => ({ disk: "", exportName: id, id }));
  if (left.length > 0) {
    await removeExports(qmp, left, { ...options, cut: () => Promise.resolve() });
  }
  // QEMU lists the newest node first, so each node comes before the nodes below it.
  for (const name of names.nodes) await removeNode({ qmp, ...options }, name);
}

/**
 * The same before a migration begins or is resumed.
 *
 * @throws {MigrationError} kind `refused`, code `qemu-in-use`, as {@link removeLeft}.
 */
export async function removeComparison(
  qmp: QmpClient,
  side: Side,
  options: LeftOptions,
): Promise<void> {
  try {
    await removeLeft(qmp, options);
  } catch (error) {
    if (!(error instanceof ExportsInUseError)) throw error;
    throw new MigrationError("refused", "qemu-in-use", side, error.message, { cause: error });
  }
}

/** Removes a node once QEMU does not use it any more. Never rejects: the next run finds it by its name. */
export async function removeNode(
  { qmp, clock, log }: Omit<LeftOptions, "processes"> & { readonly qmp: QmpClient },
  name: string,
): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      await qmp.execute("blockdev-del", { "node-name": name });
      return;
    } catch (error) {
      if (error instanceof QmpCommandError && tries < GO_TRIES) {
        await delay(clock, GO_MS);
        continue;
      }
      log.log("warning", `QEMU keeps node ${name}: ${messageOf(error)}`);
      return;
    }
  }
}

interface Names {
  readonly exports: readonly string[];
  readonly nodes: readonly string[];
}

async function namesIn(qmp: QmpClient): Promise<Names> {
  const [exports, nodes] = await Promise.all([
    qmp.execute("query-block-exports", {}),
    qmp.execute("query-named-block-nodes", { flat: true }),
  ]);
  const isOfComparison = (name: string) => name.startsWith(PREFIX);
  return {
    exports: exports.map(({ id }) => id).filter(isOfComparison),
    nodes: nodes.map((node) => node["node-name"]).filter(isOfComparison),
  };
}

async function runningOthers(
  { exports, nodes }: Names,
  processes: Processes,
): Promise<string[]> {
  const marks = new Set(
    [...exports, ...nodes].map((name) => name.slice(PREFIX.length).split("-")[0]!),
  );
  if (marks.size > 0) marks.delete(await processes.own());
  if (marks.size === 0) return [];
  return [...(await processes.running(marks)).values()];
}
