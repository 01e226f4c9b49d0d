/**
 * A migration whose tool was killed, looked at and put right: what was written down, what QEMU says,
 * what follows from it (verdict.ts), and the doing of it.
 *
 * @module
 */
import { type Acceptor, type Clock, type Logger, messageOf, systemClock } from "../../io/mod.ts";
import { MigrationSettings, type QmpClient, queryJobs, queryMigrate } from "../../qmp/mod.ts";
import type { DestinationState } from "./states.ts";
import type { DestinationRecord, JournalRecord, SourceRecord } from "../journal.ts";
import { MirrorSet } from "../disks/mirror_set.ts";
import {
  exportsInQemu,
  idsOfNbdExports,
  removeExports,
  stopNbdServer,
} from "../disks/nbd_exports.ts";
import { qemuProcess } from "../qemu_process.ts";
import { BACK_SOCKET, inPostcopy, takeBack } from "../postcopy/mod.ts";
import { Ram } from "../ram/ram.ts";
import { runAgain } from "../guest/run_again.ts";
import { isToRun, runs } from "../guest/run_states.ts";
import type { Processes } from "../storage/access.ts";
import { removeComparison } from "../storage/left_exports.ts";
import { stopIdleServer } from "../verify/mod.ts";
import { UndoList } from "../undo.ts";
import {
  destinationVerdict,
  RECOVER_LISTS,
  type RecoverAction,
  sourceVerdict,
  type Verdict,
} from "./verdict.ts";

/** What QEMU says. */
export interface QemuFacts {
  /** Run state, such as `running` or `postmigrate`. */
  readonly status: string;
  /** Status of its migration, such as `none` or `completed`. */
  readonly migration: string;
  /** How many of our jobs, nodes and exports are in it. */
  readonly ours: number;
}

/**
 * Of a migration that is over, and all that is left to be done is to undo the rest: to be done without
 * being asked for. Never where somebody has to find out who runs the guest.
 */
export function isLeft({ state, left }: JournalRecord): boolean {
  return left !== null && ["undone", "done", "failed", "finished"].includes(state);
}

/** The guest may run at the other end, or here: only a word on that closes such a record. */
export function isOpen({ state }: JournalRecord): boolean {
  return ["handover", "unknown", "postcopy", "starting", "lost"].includes(state);
}

/** Asks QEMU; `undefined` where it is not the process any more that the record is about. */
export async function qemuFacts(
  qmp: QmpClient,
  record: JournalRecord,
): Promise<QemuFacts | undefined> {
  const [{ status }, { status: migration }, ours, process] = await Promise.all([
    qmp.execute("query-status", {}),
    queryMigrate(qmp),
    oursIn(qmp, record),
    record.qemu === null ? null : qemuProcess(qmp),
  ]);
  if (record.qemu !== null && process !== null && process !== record.qemu) return undefined;
  // QEMU may still have our settings, or an NBD server without exports: no name identifies them.
  if (record.left !== null && process === record.qemu) return { status, migration, ours };
  return ours === 0 && migration === "none" ? undefined : { status, migration, ours };
}

async function oursIn(qmp: QmpClient, record: JournalRecord): Promise<number> {
  if (record.side === "destination") return (await exportsInQemu(qmp, record.exports)).length;
  const [jobs, nodes] = await Promise.all([
    queryJobs(qmp),
    qmp.execute("query-named-block-nodes", { flat: true }),
  ]);
  const { mirrors } = record;
  return jobs.filter((job) => mirrors.some((m) => m.jobId === job.id)).length +
    nodes.filter((node) => mirrors.some((m) => m.targetNode === node["node-name"])).length;
}

/**
 * Undoes what a destination has begun that was killed before it had any export: an NBD server that
 * serves nothing, and settings. Leaves a server with exports alone, which is somebody else's.
 */
export async function undoPreparing(
  qmp: QmpClient,
  record: JournalRecord,
  { log, processes }: Pick<RecoverOptions, "log" | "processes">,
): Promise<void> {
  await removeComparison(qmp, record.side, { clock: systemClock, log, processes });
  if (record.side === "source" && record.verifies) await stopIdleServer(qmp, log);
  if (record.side !== "destination" || record.state !== "waiting") return;
  if ((await idsOfNbdExports(qmp)).length === 0) await stopNbdServer(qmp, log);
  await new MigrationSettings(qmp, record.settings).restore();
}

/** A killed migration, and the means to recover it. */
export interface RecoverOptions {
  /** QMP of the QEMU that the record is about. */
  readonly qmp: QmpClient;
  /** The last whole record of the killed process. */
  readonly record: JournalRecord;
  /** QEMU's state now. */
  readonly facts: QemuFacts;
  /** What the destination answered, where it was asked. */
  readonly destination: DestinationState | undefined;
  /** The user's word that the guest does not run and never will at the other end. */
  readonly force: boolean;
  /** Removes a file; a missing one is no error. */
  readonly removeFile: (path: string) => Promise<void>;
  /** Where the sockets of the process that was killed are. */
  readonly path: (name: string) => string;
  /** Listens on a UNIX socket at the path, which QEMU connects to. */
  readonly listen: (path: string) => Promise<Acceptor>;
  /** Tells what a killed process has left from what a running one uses. */
  readonly processes: Processes;
  /** Removes the record, once nothing is left to be done. */
  readonly forget: () => Promise<void>;
  /** Time, injected. */
  readonly clock: Clock;
  /** The debug log. */
  readonly log: Logger;
}

/** What follows from what is known. */
export function recoverVerdict(options: RecoverOptions): Verdict {
  const { record, facts, destination, force } = options;
  if (record.side === "source") {
    const { status } = facts;
    return sourceVerdict({ runs: runs(status), journal: record.state, destination, force });
  }
  return destinationVerdict({
    journal: record.state,
    runs: runs(facts.status),
    complete: facts.migration === "completed" || inPostcopy(facts.migration),
    ramLeft: inPostcopy(facts.migration),
    force,
  });
}

/**
 * Does what the verdict says. Tolerant of what is already gone.
 *
 * @returns what could not be put right, each as a text.
 */
export async function recover(options: RecoverOptions, verdict: Verdict): Promise<string[]> {
  if (verdict === "ask") throw new Error("Nothing is done without the user's word");
  const { record } = options;
  const left: string[] = [];
  const effects = record.side === "source"
    ? sourceEffects(options, record, verdict, left)
    : destinationEffects(options, record, left);
  for (const action of RECOVER_LISTS[verdict]) {
    if (action !== "forget") await effects[action]();
    else if (left.length === 0) await options.forget();
  }
  return left;
}

type Effects = Readonly<Record<Exclude<RecoverAction, "forget">, () => Promise<void>>>;

/** @param left receives what could not be put right. */
function sourceEffects(
  options: RecoverOptions,
  record: SourceRecord,
  verdict: Verdict,
  left: string[],
): Effects {
  const { qmp, clock, log, path, removeFile, facts } = options;
  return {
    undo: async () => {
      const undo = new UndoList(clock, log);
      const mirrors = new MirrorSet({
        qmp,
        clock,
        log,
        mirrors: record.mirrors,
        socketPath: path("nbd.sock"),
        mayWait: false,
        connections: () => ({ lost: 0, open: 0, away: false }),
        onFault: () => {},
      });
      for (const name of ["nbd.sock", "ram.sock"]) undo.add(name, () => removeFile(path(name)));
      undo.add("the exports of the comparison", async () => {
        await removeComparison(qmp, "source", options);
        if (record.verifies) await stopIdleServer(qmp, log);
      });
      undo.add("the mirror jobs", () => mirrors.undo());
      const settings = new MigrationSettings(qmp, record.settings);
      undo.add("QEMU's migration settings", () => settings.restore());
      undo.add("the migration of RAM", async () => {
        const mayTakeBack = verdict === "run-here";
        const socketPath = path(BACK_SOCKET);
        const back = () => takeBack({ ...options, socketPath });
        await new Ram({ qmp, clock, log, takeBack: back }).undo(mayTakeBack);
      });
      await mirrors.adopt();
      left.push(...(await undo.run()).here);
    },
    "qemu cont": async () => {
      if (!isToRun(facts.status, record)) return;
      const stood = ["finish-migrate", "postmigrate", "paused"].includes(facts.status);
      const pausedByUs = stood && (record.stopped !== "no" || record.state !== "mirror");
      const stuck = await runAgain(qmp, clock, pausedByUs, record.asleep ?? false);
      if (stuck !== undefined) left.push(stuck);
    },
    "qemu quit": () => Promise.resolve(),
  };
}

/** @param left receives what could not be put right. */
function destinationEffects(
  options: RecoverOptions,
  record: DestinationRecord,
  left: string[],
): Effects {
  const { qmp, clock, log, path, removeFile } = options;
  const give = async (command: "cont" | "quit") => {
    await qmp.execute(command, {}).catch((error) => left.push(messageOf(error)));
  };
  return {
    undo: async () => {
      const undo = new UndoList(clock, log);
      for (const name of ["nbd.sock", "ram.sock"]) undo.add(name, () => removeFile(path(name)));
      undo.add(
        "the NBD server and its exports",
        () => removeExports(qmp, record.exports, { cut: () => Promise.resolve(), clock, log }),
      );
      const settings = new MigrationSettings(qmp, record.settings);
      undo.add("QEMU's migration settings", () => settings.restore());
      left.push(...(await undo.run()).here);
    },
    "qemu cont": async () => {
      if (record.run !== false) await give("cont");
    },
    "qemu quit": () => give("quit"),
  };
}
