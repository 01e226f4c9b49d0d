/**
 * What a run of `migrate` or `receive` has on disk: its directory and its journal, new or left by a
 * process that was killed.
 *
 * @module
 */
import { type Logger, systemClock } from "../../io/mod.ts";
import {
  type ErrorCode,
  isLeft,
  isOpen,
  type JournalRecord,
  MigrationError,
  qemuFacts,
  recover,
  type RecoverOptions,
  recoverVerdict,
  removeComparison,
  type Side,
  undoPreparing,
} from "../../migrate/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import { vmferryProcesses } from "../host/processes.ts";
import { ownCommand } from "../own_command.ts";
import { removeAbandoned } from "./abandoned.ts";
import { type NextMigration, startsAnew } from "./cut_off.ts";
import { type CutOff, findJournals, JournalFile } from "./journal_file.ts";
import { runBase } from "./base.ts";
import { PrivateRunDir } from "./run_dir.ts";
import { listenFor, ownerOfQemu } from "./socket_owner.ts";
import type { SocketOwner } from "./socket_owner.ts";

export interface RunStateOptions {
  /** `--run-dir`, if it was given. */
  readonly base: string | undefined;
  readonly qmp: QmpClient;
  /** The QMP socket's absolute path. */
  readonly qmpPath: string;
  readonly side: Side;
  /** Whom the sockets that QEMU uses are for, if it runs as another user. */
  readonly socketOwner: SocketOwner | undefined;
  /** Resume the migration that was cut off. */
  readonly resume: boolean;
  /** What a source begins that does not resume; without it, no earlier migration is undone. */
  readonly next?: NextMigration;
  readonly log: Logger;
}

/** A run's directory and journal; owns both. */
export class RunState<R extends JournalRecord> implements AsyncDisposable {
  readonly dir: PrivateRunDir;
  readonly journal: JournalFile;
  /** The record to resume from. */
  readonly record: R | undefined;

  /**
   * Makes them, or takes those over that were left for this QEMU.
   *
   * Undoes a migration that was cut off, where {@link startsAnew} says so.
   *
   * @throws {MigrationError} kind `refused`: another migration was cut off and `resume` is not given, or
   * the other way round.
   */
  static async open<R extends JournalRecord>(options: RunStateOptions): Promise<RunState<R>> {
    // A killed run's socket has QEMU behind it until then, and its directory is not known for abandoned.
    const { qmp, side, log } = options;
    await removeComparison(qmp, side, { clock: systemClock, log, processes: vmferryProcesses });
    const left = await findLeft(options);
    await removeAbandoned(runBase(options.base), options.log);
    if (options.resume) {
      if (!left) {
        throw refused(options, "nothing-to-resume", "No migration of this QEMU was cut off here");
      }
      const dir = PrivateRunDir.adopt(left.dir);
      return new RunState(dir, await JournalFile.open(left.dir), left.record as R);
    }
    if (left && options.next && startsAnew(left.record, options.next)) {
      await finishLeft(options, left);
    } else if (left) throw refused(options, "cut-off", choices(left.record, options));
    const dir = await PrivateRunDir.make(options.base, options.side, options.socketOwner);
    return new RunState<R>(dir, await JournalFile.open(dir.directory), undefined);
  }

  private constructor(dir: PrivateRunDir, journal: JournalFile, record: R | undefined) {
    this.dir = dir;
    this.journal = journal;
    this.record = record;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.journal[Symbol.dispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/**
 * What was left for this QEMU. Of what is about another process than the one that runs now, nothing
 * is left but files, which are removed.
 */
async function findLeft(options: RunStateOptions): Promise<CutOff | undefined> {
  const { base, qmp, qmpPath, side, log } = options;
  for (const found of await findJournals(runBase(base))) {
    if (found.record.qmp !== qmpPath) continue;
    // A guest that came to this QEMU goes on from it: the side does not matter.
    if (isLeft(found.record)) {
      await finishLeft(options, found);
      continue;
    }
    if (found.record.side !== side) continue;
    if (
      await qemuFacts(qmp, found.record) || (options.resume && found.record.state === "prepare")
    ) {
      return found;
    }
    // The guest may run at the other end: that its QEMU here has ended does not settle it.
    if (isOpen(found.record)) {
      log.log("warning", `${found.dir} stays: its guest was handed over, see where it runs`);
      continue;
    }
    await undoPreparing(qmp, found.record, { log, processes: vmferryProcesses });
    log.log("info", `${found.dir} is about a QEMU that has ended: removed`);
    await PrivateRunDir.adopt(found.dir)[Symbol.asyncDispose]();
  }
  return undefined;
}

/**
 * Undoes what an earlier migration of this QEMU could not, and removes its files.
 *
 * @throws {MigrationError} kind `refused`, naming what is still left.
 */
async function finishLeft(options: RunStateOptions, { dir, record }: CutOff): Promise<void> {
  const { qmp, qmpPath, base, side, log } = options;
  const runDir = PrivateRunDir.adopt(dir);
  const facts = await qemuFacts(qmp, record);
  if (facts) {
    const work: RecoverOptions = {
      ...{ qmp, record, facts, destination: undefined, force: false, clock: systemClock, log },
      processes: vmferryProcesses,
      removeFile: (path) => Deno.remove(path).catch(() => {}),
      listen: async (path) => await listenFor(path, await ownerOfQemu(record.qmp)),
      path: (name) => runDir.path(name),
      forget: () => runDir[Symbol.asyncDispose](),
    };
    const verdict = recoverVerdict(work);
    const command = recoverCommand(qmpPath, base);
    // A guest that is loaded and must not run: its QEMU is ended only where somebody asks for that.
    if (verdict === "discard") throw refused(options, "cut-off", choices(record, options));
    const left = await recover(work, verdict);
    if (left.length > 0) {
      const message =
        `An earlier migration of this QEMU is not undone yet: ${left.join("; ")}. Try ` +
        `again once QEMU and its disks answer; '${command}' says how things are`;
      throw new MigrationError("refused", "not-undone", side, message);
    }
  } else await runDir[Symbol.asyncDispose]();
  const { state, left } = record;
  const what = left?.join("; ") ?? `it was cut off in state "${state}"`;
  log.log("info", `what an earlier migration of this QEMU had left is undone: ${what}`);
}

/** The command that looks after a migration that was cut off. */
export function recoverCommand(qmpPath: string, base: string | undefined): string {
  const runDir = base === undefined ? "" : ` --run-dir ${runBase(base)}`;
  return `${ownCommand()} recover --qmp ${qmpPath}${runDir}`;
}

function choices(record: JournalRecord, { side, base, next }: RunStateOptions): string {
  const command = side === "source" ? "migrate" : "receive";
  const without = next?.launches
    ? " (without --launch, --map, --sync, --verify-base, --persist, --qemu-command, --disk)"
    : "";
  return `A migration of this guest was cut off in state "${record.state}": 'vmferry ${command} ` +
    `--resume …'${without} continues it, '${
      recoverCommand(record.qmp, base)
    }' reports on it and undoes it`;
}

function refused({ side }: RunStateOptions, code: ErrorCode, message: string): MigrationError {
  return new MigrationError("refused", code, side, message);
}
