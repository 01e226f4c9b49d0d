import { messageOf, rootOf, systemClock } from "../../io/mod.ts";
import {
  DestinationPeer,
  type DestinationState,
  isOpen,
  type JournalRecord,
  type QemuFacts,
  qemuFacts,
  recover as putRight,
  type RecoverOptions,
  recoverVerdict,
  type Verdict,
} from "../../migrate/mod.ts";
import { type QmpClient, QmpClosedError } from "../../qmp/mod.ts";
import { removeAbandoned } from "../run/abandoned.ts";
import type { Command } from "../args/mod.ts";
import { connector } from "../endpoint/connecting_end.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import { DirectoryLock } from "../run/dir_lock.ts";
import { type CutOff, findJournals } from "../run/journal_file.ts";
import { identify } from "../control/controlled.ts";
import { vmferryProcesses } from "../host/processes.ts";
import { findProcess } from "../host/qemu_process.ts";
import { runProgram } from "../host/run_program.ts";
import { endCommand, holdUnit } from "../host/source_unit.ts";
import { launchHost } from "../host/launch_host.ts";
import { openQmp } from "../host/open_qmp.ts";
import type { Output } from "../output/output.ts";
import { ownCommand } from "../own_command.ts";
import { realPath } from "../paths.ts";
import { runBase } from "../run/base.ts";
import { settleLaunches } from "../run/launch_journal.ts";
import { leaveHost } from "../run/leave_host.ts";
import { PrivateRunDir } from "../run/run_dir.ts";
import { listenFor, ownerOfQemu } from "../run/socket_owner.ts";
import { recoverCommand } from "../run/run_state.ts";
import { KEPT_TICKET, KeptTicket } from "../endpoint/ticket_use.ts";

type Options = Command & { readonly command: "recover" };

/** Reports on a migration whose vmferry was killed; with `--yes` completes or undoes it. */
export async function recover(options: Options, output: Output): Promise<ExitCode> {
  const qmpPath = await realPath(options.qmp);
  const code = await recoverMigrations(options, qmpPath, output);
  if (options.yes) {
    const host = await launchHost(output.log);
    // After the migration's connection to QEMU is closed: QEMU serves one client at a time.
    await settleLaunches(runBase(options.runDir), host, output.log, { qmp: qmpPath });
  }
  return code;
}

async function recoverMigrations(
  options: Options,
  qmpPath: string,
  output: Output,
): Promise<ExitCode> {
  if (options.yes) await removeAbandoned(runBase(options.runDir), output.log);
  const findAll = () => findJournals(runBase(options.runDir));
  const findLeft = async () => (await findAll()).filter(({ record }) => record.qmp === qmpPath);
  const [first] = await findLeft();
  if (!first) return nothing(output, await commandsFor(await findAll(), options));
  await using qmp = await openIfServed(options.qmp, first.record, output);
  // Read again: a process that still wrote a journal had QEMU until now.
  const left = await findLeft();
  if (left.length === 0) return nothing(output);
  let worst: ExitCode = EXIT.done;
  for (const found of left) {
    const code = await recoverOne(options, found, qmp, output);
    if (worst === EXIT.done || code === EXIT.unknown) worst = code;
  }
  return worst;
}

function nothing({ report }: Output, next: readonly string[] = []): ExitCode {
  report({ event: "recover", ...NOTHING, qemu: null, next: [...next] });
  return EXIT.done;
}

/** Commands for the journals of other QMP sockets that no process has locked. */
async function commandsFor(others: readonly CutOff[], { runDir }: Options): Promise<string[]> {
  const commands: string[] = [];
  for (const { dir, record: { qmp, guest } } of others) {
    using free = await DirectoryLock.tryTake(dir);
    if (!free) continue;
    const command = recoverCommand(qmp, runDir);
    commands.push(
      `a migration of ${guest || "a guest"} was started with another QMP socket: ${command}`,
    );
  }
  return commands;
}

/** QEMU, for us alone; `undefined` where it has ended. */
async function openIfServed(
  path: string,
  { side }: JournalRecord,
  { log }: Output,
): Promise<QmpClient | undefined> {
  try {
    return await openQmp(path, side, log);
  } catch (error) {
    // A socket that nobody serves means that QEMU has ended; a busy one does not.
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** The facts that QEMU reports; `undefined` where it has ended or another one has its place. */
async function factsOf(
  qmp: QmpClient | undefined,
  record: JournalRecord,
): Promise<QemuFacts | undefined> {
  try {
    return qmp && await qemuFacts(qmp, record);
  } catch (error) {
    // It was about to end.
    if (error instanceof QmpClosedError) return undefined;
    throw error;
  }
}

async function recoverOne(
  options: Options,
  { dir, record }: CutOff,
  qmp: QmpClient | undefined,
  output: Output,
): Promise<ExitCode> {
  const runDir = PrivateRunDir.adopt(dir);
  const [{ side, migration, state }, facts] = [record, await factsOf(qmp, record)];
  if (!qmp || !facts) {
    // This may be the only record of a guest that the other side runs, although its QEMU here has ended.
    const done = isOpen(record) ? options.force : options.yes || options.force;
    if (done) await runDir[Symbol.asyncDispose]();
    const about = { side, migration, state, verdict: "gone", done } as const;
    const command = recoverCommand(record.qmp, options.runDir);
    const next = isOpen(record) && !done
      ? [
        `the guest was handed over. Once you know which side runs it, ${command} --force-run-here ` +
        "removes this record; it starts no guest, because its QEMU has ended",
      ]
      : [];
    output.report({ event: "recover", ...about, qemu: null, next });
    return EXIT.done;
  }
  const work: RecoverOptions = {
    qmp,
    record,
    facts,
    destination: await ask(options, record, runDir, output),
    force: options.force,
    removeFile: (path) => Deno.remove(path).catch(() => {}),
    listen: async (path) => await listenFor(path, await ownerOfQemu(record.qmp)),
    path: (name) => runDir.path(name),
    processes: vmferryProcesses,
    forget: () => runDir[Symbol.asyncDispose](),
    clock: systemClock,
    log: output.log,
  };
  const verdict = recoverVerdict(work);
  const done = (options.yes || options.force) && verdict !== "ask";
  // While QEMU can be found by its socket.
  const end = record.side === "source"
    ? await leaveUnit(
      { ...{ verdict, done, qmp, runDir, to: record.destination }, options },
      output,
    )
    : undefined;
  const problems = done ? await putRight(work, verdict) : [];
  output.report({
    ...{ event: "recover", side, migration, state, verdict, done, qemu: facts.status },
    next: [
      ...problems,
      ...(record.left && !done ? [`left of it: ${record.left.join("; ")}`] : []),
      ...nextSteps(options, record, verdict, done, end),
    ],
  });
  if (verdict === "ask") return EXIT.unknown;
  return problems.length > 0 ? EXIT.failed : EXIT.done;
}

/**
 * Keeps systemd from starting a guest at the source that is at the destination, or may be.
 *
 * @returns the command that ends QEMU for good where it runs in a unit and the user has to end it.
 */
async function leaveUnit(
  { verdict, done, qmp, runDir, to, options: { qmp: path, yes } }: {
    readonly verdict: Verdict;
    readonly done: boolean;
    readonly qmp: QmpClient;
    readonly runDir: PrivateRunDir;
    readonly to: string;
    readonly options: Options;
  },
  { report, log }: Output,
): Promise<string | undefined> {
  if (verdict !== "leave" && verdict !== "ask") return undefined;
  const process = await findProcess(path, log);
  if (!process) return undefined;
  let messages: readonly string[] = [];
  try {
    if (verdict === "ask" && yes) {
      ({ messages } = await holdUnit(runProgram, process, Deno.uid() ?? 0));
    } else if (verdict === "leave" && done) {
      const { guest } = await identify("source", qmp, path, runDir.directory);
      const left = { ...guest, qmpPaths: [await realPath(path), path] };
      ({ messages } = await leaveHost({ guest: left, to, process, persist: false }, log));
    }
  } catch (error) {
    // It ended meanwhile.
    log.log("info", `the guest that has left: ${messageOf(error)}`);
  }
  for (const message of messages) report({ event: "warning", code: "source-unit", message });
  return verdict === "ask" ? endCommand(process) : undefined;
}

const NOTHING = {
  side: null,
  migration: null,
  state: null,
  verdict: "nothing",
  done: false,
} as const;

/** Nobody listens on the QMP socket, or QEMU ended while it was asked. */
function isGone(error: unknown): boolean {
  const root = rootOf(error);
  return root instanceof Deno.errors.ConnectionRefused || root instanceof Deno.errors.NotFound ||
    (root instanceof QmpClosedError && root.end === "by-qemu");
}

/** The state that the destination reports; `undefined` if it is not asked or does not answer. */
async function ask(
  options: Options,
  record: JournalRecord,
  runDir: PrivateRunDir,
  output: Output,
): Promise<DestinationState | undefined> {
  if (!options.destination || record.side !== "source") return undefined;
  const kept = new KeptTicket(runDir.own(KEPT_TICKET));
  const connect = await connector(options.destination, options, output, { kept: () => kept });
  try {
    const session = await connect(AbortSignal.timeout(options.connectMs * 2));
    const peer = new DestinationPeer(session, { clock: systemClock, log: output.log });
    try {
      return (await peer.status(record.migration)).state;
    } finally {
      await peer.close(1000);
    }
  } catch (error) {
    const message = `The destination could not be asked: ${messageOf(error)}`;
    output.report({ event: "warning", code: "not-asked", message });
    return undefined;
  }
}

/**
 * What the user does next, a sentence each.
 *
 * @param end command that ends the source's QEMU for good, where it runs in a unit.
 */
function nextSteps(
  { qmp }: Options,
  record: JournalRecord,
  verdict: Verdict,
  done: boolean,
  end?: string,
): string[] {
  const command = `${ownCommand()} recover --qmp ${qmp}`;
  if (verdict === "ask" && record.side === "source") {
    const there = record.recoverThere || "vmferry recover --qmp PATH";
    return [
      `find out whether the guest runs at the destination (${record.destination}). There: ${there}`,
      `if it runs there, end this QEMU${end === undefined ? "" : ` with '${end}'`}. If not, end ` +
      `that QEMU, then: ${command} ` +
      "--force-run-here",
    ];
  }
  if (verdict === "ask" && record.state === "lost") {
    return [
      "vmferry gave QEMU `cont`, and the guest does not run yet: QEMU's monitor and log have the reason",
      `if the source's QEMU has been ended: ${command} --force-run-here`,
    ];
  }
  if (verdict === "ask") {
    return [
      "the source has handed the guest over: 'vmferry receive --resume …' starts it here",
      `if the source's QEMU has been ended: ${command} --force-run-here`,
    ];
  }
  if (!done) return [`${command} --yes does it`];
  if (verdict === "discard") {
    return [
      "if the source's guest is paused, 'vmferry recover --qmp PATH --force-run-here' there " +
      "resumes it; start a new QEMU here for another try",
    ];
  }
  return [];
}
