import { systemClock, withDeadline } from "../../io/mod.ts";
import {
  asMigrationError,
  checkDestination,
  DestinationMigration,
  type DestinationRecord,
  type MigrationError,
  type OwnIntroduction,
} from "../../migrate/mod.ts";
import type { StartArguments } from "../args/hooks.ts";
import type { ReceiveCommand } from "../args/migration.ts";
import { UsageError } from "../args/usage_error.ts";
import { identify } from "../control/controlled.ts";
import { DestinationControl } from "../control/destination_control.ts";
import { RunFiles } from "../report/run_files.ts";
import { CONTROL_SOCKET } from "../control/protocol.ts";
import type { Identity } from "../control/status_board.ts";
import { ListeningEnd } from "../endpoint/listening_end.ts";
import { KEPT_TICKET, KeptTicket } from "../endpoint/ticket_use.ts";
import { hostAccess } from "../host/access.ts";
import { Hooks, siteEnvironment } from "../host/site/hooks.ts";
import { isListenedOn, openQmp } from "../host/open_qmp.ts";
import { QemuLog } from "../host/qemu_log.ts";
import { runProgram } from "../host/run_program.ts";
import { runSiteCommand } from "../host/site/site_command.ts";
import { qmpProcesses } from "../host/find_qemu.ts";
import { SiteQemu } from "../host/site/site_qemu.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import type { Output } from "../output/output.ts";
import { exitCodeOf, resultEvent } from "../output/result.ts";
import { absolutePath, realPath } from "../paths.ts";
import { removeAbandoned } from "../run/abandoned.ts";
import { runBase } from "../run/base.ts";
import { PrivateRunDir } from "../run/run_dir.ts";
import { recoverCommand, RunState } from "../run/run_state.ts";
import { ownerFrom } from "../run/socket_owner.ts";
import type { OpenedMigration } from "../run/start_attempt.ts";
import { StartedMigration } from "../run/started_migration.ts";
import { askedMs, outcomeOf } from "./outcome.ts";

/** How long a source at the other end of a pipe may take to hear how it ended, ms. */
const GONE_MS = 5_000;

type Options = ReceiveCommand & { readonly started: StartArguments };

/** The destination whose QEMU is started when a source comes, and stopped if the guest does not. */
export async function receiveStarted(options: Options, output: Output): Promise<ExitCode> {
  const { log } = output;
  const isPipe = options.listen === "stdio";
  await using files = await RunFiles.open(options, output, "destination");
  await using control = new DestinationControl(files);
  const { report } = control;
  const startedAt = systemClock.now();
  using end = await ListeningEnd.prepare(options.listen, options, {
    ...{ report, log },
    line: (text) => output.line(text),
  });
  let migration: StartedMigration | undefined;
  let guest: Identity["guest"] = { name: null, uuid: null };
  const peer = () => migration?.source?.from ?? "";
  const qmp = absolutePath(options.qmp);
  const hooks = new Hooks({
    ...{ given: options.hooks, role: "destination", guest: () => guest, report, log },
    ...{ qmp: () => qmp, peer },
  });
  control.begin();
  try {
    const site = new SiteQemu({
      ...{ ...options.started, timeoutMs: options.hooks.timeoutMs, qmp },
      environment: () => siteEnvironment({ role: "destination", qmp, peer: peer(), ...guest }),
      ...{
        answers: isListenedOn,
        processes: (path: string) => qmpProcesses(runProgram, path),
        run: runSiteCommand,
        clock: systemClock,
        log,
      },
    });
    await site.assertAbsent();
    await removeAbandoned(runBase(options.runDir), log);
    await using dir = await PrivateRunDir.make(options.runDir, "destination");
    const kept = new KeptTicket(dir.own(KEPT_TICKET));
    await end.open(undefined, kept);
    await using started = new StartedMigration({
      ...{ site, isPipe, report, clock: systemClock, log },
      open: async () => {
        const opened = await openMigration({
          ...{ options, output, report, end, kept, hooks, introduction: files.introduction },
        });
        guest = opened.guest;
        return opened;
      },
    });
    migration = started;
    control.drive(started);
    await control.serve(dir.own(CONTROL_SOCKET), {
      ...{ role: "destination", pid: Deno.pid, runDir: dir.directory, qmp },
      get guest() {
        return guest;
      },
    });
    const server = await end.serve((session) => {
      control.sourceReports = isPipe;
      started.serve(session);
    });
    control.awaitSource(end.over, options.timeoutMs);
    let failure: MigrationError | undefined;
    let reported: Promise<void> | undefined;
    try {
      failure = await outcomeOf(started);
      const { bytes, guestStatus } = started;
      // The QEMU that has begun to load RAM was stopped: no advice on how to start it again.
      reported = hooks.end(resultEvent({ startedAt, bytes, guest: guestStatus, error: failure }));
      const tellMs = isPipe ? GONE_MS : askedMs(end.graceMs);
      await withDeadline(systemClock, tellMs, "the source to hear of it", started.told)
        .catch((error) => log.log("warning", error.message));
    } finally {
      control.stopWaiting();
      await started.leave();
      await server.close();
      await reported;
    }
    return failure ? exitCodeOf(failure) : EXIT.done;
  } catch (error) {
    control.sourceReports = false;
    if (error instanceof UsageError) throw error;
    const failure = asMigrationError(error, "destination");
    await hooks.end(resultEvent({ startedAt, bytes: migration?.bytes ?? 0, error: failure }));
    return exitCodeOf(failure);
  }
}

interface Parts {
  readonly options: Options;
  readonly output: Output;
  readonly report: DestinationControl["report"];
  readonly end: ListeningEnd;
  /** Where the ticket is kept until there is a migration. */
  readonly kept: KeptTicket;
  readonly hooks: Hooks;
  readonly introduction: OwnIntroduction;
}

/** A migration to the QEMU that was started, as `receive` makes it. Owns its connection and its run directory. */
async function openMigration(
  { options, output: { log }, report, end, kept, hooks, introduction }: Parts,
): Promise<OpenedMigration & { readonly guest: Identity["guest"] }> {
  await using stack = new AsyncDisposableStack();
  const qmp = stack.use(await openQmp(options.qmp, "destination", log));
  const qemuLog = stack.use(new QemuLog(options.qmp, log));
  const qmpPath = await realPath(options.qmp);
  const run = stack.use(
    await RunState.open<DestinationRecord>({
      ...{ base: options.runDir, qmp, qmpPath, log, side: "destination", resume: false },
      socketOwner: await ownerFrom(options),
    }),
  );
  await checkDestination(qmp, options.disks);
  await qemuLog.ready();
  const { guest } = await identify("destination", qmp, options.qmp, run.dir.directory);
  const migration = new DestinationMigration({
    ...{ qmp, qmpPath, report, log, clock: systemClock, disks: options.disks, resume: undefined },
    ...{ listen: end.address, graceMs: end.graceMs, journal: run.journal },
    recoverCommand: recoverCommand(qmpPath, options.runDir),
    introduction,
    claimed: async (session) => {
      await end.claim(session);
      // A `receive --resume` looks for it there.
      const used = await kept.load();
      if (used) await new KeptTicket(run.dir.own(KEPT_TICKET)).save(used);
    },
    runDir: run.dir,
    lastWords: qemuLog.read,
    host: hostAccess(log),
    ...hooks.beforeSwitchover,
  });
  const owned = stack.move();
  return {
    migration,
    guest,
    keep: () => run.dir.keep(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
