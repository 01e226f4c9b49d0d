import { systemClock, withDeadline } from "../../io/mod.ts";
import {
  asMigrationError,
  checkDestination,
  DestinationMigration,
  type DestinationRecord,
  MigrationError,
  needsRecord,
} from "../../migrate/mod.ts";
import { type Address, parseAddress } from "../endpoint/address.ts";
import type { Command } from "../args/mod.ts";
import { identify } from "../control/controlled.ts";
import { DestinationControl } from "../control/destination_control.ts";
import { RunFiles } from "../report/run_files.ts";
import { CONTROL_SOCKET } from "../control/protocol.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import { hostAccess } from "../host/access.ts";
import { Hooks } from "../host/site/hooks.ts";
import { QemuLog } from "../host/qemu_log.ts";
import type { Identity } from "../control/status_board.ts";
import { ListeningEnd } from "../endpoint/listening_end.ts";
import { openQmp } from "../host/open_qmp.ts";
import type { Output } from "../output/output.ts";
import { realPath } from "../paths.ts";
import { exitCodeOf, resultEvent } from "../output/result.ts";
import { runBase } from "../run/base.ts";
import { adoptLaunches } from "../run/launch_journal.ts";
import { recoverCommand, RunState } from "../run/run_state.ts";
import { ownerFrom } from "../run/socket_owner.ts";
import { KEPT_TICKET, KeptTicket } from "../endpoint/ticket_use.ts";
import { UsageError } from "../args/usage_error.ts";
import { askedMs, outcomeOf } from "./outcome.ts";

type Options = Command & { readonly command: "receive" };

/** How long a source at the other end of a pipe may take, ms. */
const GONE_MS = 5_000;
/** How long a source may take to find a receive that was started again, ms. */
const RESUMED_MS = 20_000;

/** The destination: serves one migration, ends when the guest runs here or the migration has failed. */
export async function receive(options: Options, output: Output): Promise<ExitCode> {
  const { log } = output;
  await using files = await RunFiles.open(options, output, "destination");
  await using control = new DestinationControl(files);
  const { report } = control;
  const start = systemClock.now();
  using end = await ListeningEnd.prepare(options.listen, options, {
    report,
    log,
    line: (text) => output.line(text),
  });
  const socketOwner = await ownerFrom(options);
  let migration: DestinationMigration | undefined;
  let guest: Identity["guest"] | undefined;
  const hooks = new Hooks({
    ...{ given: options.hooks, role: "destination", guest: () => guest, report, log },
    ...{ qmp: () => options.qmp, peer: () => migration?.source?.from ?? "" },
  });
  control.begin();
  try {
    await using qmp = await openQmp(options.qmp, "destination", log);
    await using qemuLog = new QemuLog(options.qmp, log);
    const qmpPath = await realPath(options.qmp);
    await adoptLaunches(runBase(options.runDir), qmpPath, log);
    await using run = await RunState.open<DestinationRecord>({
      base: options.runDir,
      qmp,
      qmpPath,
      side: "destination",
      resume: options.resume,
      socketOwner,
      log,
    });
    if (!run.record) await checkDestination(qmp, options.disks);
    await qemuLog.ready();
    const identity = await identify("destination", qmp, options.qmp, run.dir.directory);
    guest = identity.guest;
    await end.open(
      listenAddress(options.listen, run.record),
      new KeptTicket(run.dir.own(KEPT_TICKET)),
    );
    migration = new DestinationMigration({
      qmp,
      qmpPath,
      listen: end.address,
      claimed: (session) => end.claim(session),
      recoverCommand: recoverCommand(qmpPath, options.runDir),
      runDir: run.dir,
      journal: run.journal,
      resume: run.record,
      graceMs: end.graceMs,
      introduction: files.introduction,
      lastWords: qemuLog.read,
      host: hostAccess(log),
      disks: options.disks,
      ...hooks.beforeSwitchover,
      report,
      clock: systemClock,
      log,
    });
    control.drive(migration);
    if (run.record) await migration.resume();
    const destination = migration;
    await control.serve(run.dir.own(CONTROL_SOCKET), identity);
    const server = await end.serve((session) => {
      control.sourceReports = options.listen === "stdio";
      destination.serve(session);
    });
    control.awaitSource(end.over, options.timeoutMs);
    let failure: MigrationError | undefined;
    let reported: Promise<void> | undefined;
    try {
      failure = await outcomeOf(migration);
      if (failure && needsRecord(failure) || migration.leftBehind) run.dir.keep();
      const { bytes, memoryBegan, guestStatus: guest } = migration;
      // The source hears the outcome while the hook runs.
      reported = hooks.end(
        resultEvent({ startedAt: start, bytes, memoryBegan, guest, error: failure }),
      );
      await withDeadline(
        systemClock,
        tellMs(options, end.graceMs),
        "the source to hear of it",
        migration.told,
      ).catch((error) => log.log("warning", error.message));
    } finally {
      control.stopWaiting();
      await migration.leave();
      await server.close();
      await reported;
    }
    return failure ? exitCodeOf(failure) : EXIT.done;
  } catch (error) {
    control.sourceReports = false;
    if (error instanceof UsageError) throw error;
    const failure = asMigrationError(error, "destination");
    const { bytes = 0, memoryBegan } = migration ?? {};
    await hooks.end(resultEvent({ startedAt: start, bytes, memoryBegan, error: failure }));
    return exitCodeOf(failure);
  }
}

/** How long the source may take to hear how it ended, ms. */
function tellMs({ listen, resume }: Options, graceMs: number): number {
  if (listen === "stdio") return GONE_MS;
  // A source that still wants to know finds this process at once: its session was lost before.
  return resume ? RESUMED_MS : askedMs(graceMs);
}

/** A port that was free to be chosen is, for a source that comes back, the one that was chosen. */
function listenAddress(
  listen: Options["listen"],
  record: DestinationRecord | undefined,
): Address | undefined {
  if (!record || listen === "stdio" || !("port" in listen) || listen.port !== 0) {
    return undefined;
  }
  return parseAddress(record.listen, "the journal");
}
