import { systemClock, withDeadline } from "../../io/mod.ts";
import { asMigrationError, type MigrationError } from "../../migrate/mod.ts";
import type { ReceiveLaunchCommand } from "../args/launch.ts";
import { UsageError } from "../args/usage_error.ts";
import { DestinationControl } from "../control/destination_control.ts";
import { RunFiles } from "../report/run_files.ts";
import { CONTROL_SOCKET } from "../control/protocol.ts";
import type { Identity } from "../control/status_board.ts";
import { ListeningEnd } from "../endpoint/listening_end.ts";
import { KEPT_TICKET, KeptTicket } from "../endpoint/ticket_use.ts";
import { Hooks } from "../host/site/hooks.ts";
import { launchHost } from "../host/launch_host.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import type { Output } from "../output/output.ts";
import { exitCodeOf, resultEvent } from "../output/result.ts";
import { removeAbandoned } from "../run/abandoned.ts";
import { runBase } from "../run/base.ts";
import {
  openLaunchJournal,
  otherLaunches,
  rivalLaunches,
  settleLaunches,
} from "../run/launch_journal.ts";
import { LaunchedMigration } from "../run/launched_migration.ts";
import { PrivateRunDir } from "../run/run_dir.ts";
import { askedMs, outcomeOf } from "./outcome.ts";

/** How long a source at the other end of a pipe may take to hear how it ended, ms. */
const GONE_MS = 5_000;

/** The destination of a launch: builds a machine, starts its QEMU, and serves one migration. */
export async function receiveLaunch(
  options: ReceiveLaunchCommand,
  output: Output,
): Promise<ExitCode> {
  const { log } = output;
  const isStdio = options.listen === "stdio";
  await using files = await RunFiles.open(options, output, "destination");
  await using control = new DestinationControl({
    identify: files.identify,
    history: files.history,
    report: (event) =>
      files.report(event.event === "listening" ? { ...event, launch: true } : event),
    log,
  });
  const { report } = control;
  const startedAt = systemClock.now();
  using end = await ListeningEnd.prepare(options.listen, options, {
    ...{ report, log },
    line: (text) => output.line(text),
  });
  let migration: LaunchedMigration | undefined;
  const hooks = new Hooks({
    ...{ given: options.hooks, role: "destination", guest: () => migration?.guest, report, log },
    ...{ qmp: () => migration?.qmp ?? "", peer: () => migration?.source?.from ?? "" },
  });
  control.begin();
  try {
    const base = runBase(options.runDir);
    const { started, hooks: { timeoutMs } } = options;
    const site = started && { ...started, timeoutMs };
    const host = await launchHost(log, site, () => migration?.source?.from ?? "");
    for (const message of await settleLaunches(base, host, log)) {
      report({ event: "warning", code: "not-undone", message });
    }
    await removeAbandoned(base, log);
    await using dir = await PrivateRunDir.make(options.runDir, "destination");
    using journal = await openLaunchJournal(dir.directory);
    const kept = new KeptTicket(dir.own(KEPT_TICKET));
    await end.open(undefined, kept);
    const trust = isStdio ? "login" : options.any ? "any" : "network";
    await using launched = new LaunchedMigration({
      ...{ host, trust, end, kept, report, log },
      journal: {
        write: (record) => journal.write(record),
        rivals: (qmp) => rivalLaunches({ base, own: dir.directory, qmp, log }),
        others: () => otherLaunches({ base, own: dir.directory, log }),
      },
      ...hooks.beforeSwitchover,
      introduction: files.introduction,
      base: options.runDir,
    });
    migration = launched;
    control.drive(launched);
    await control.serve(dir.own(CONTROL_SOCKET), identityOf(launched, dir.directory));
    const server = await end.serve((session) => {
      control.sourceReports = isStdio;
      launched.serve(session);
    });
    control.awaitSource(end.over, options.timeoutMs);
    let failure: MigrationError | undefined;
    let reported: Promise<void> | undefined;
    try {
      failure = await outcomeOf(launched);
      const { bytes, guestStatus: guest } = launched;
      // The source hears the outcome while the hook runs.
      reported = hooks.end(
        resultEvent({ isLaunch: true, startedAt, bytes, guest, error: failure }),
      );
      const tellMs = isStdio ? GONE_MS : askedMs(end.graceMs);
      await withDeadline(systemClock, tellMs, "the source to hear of it", launched.told)
        .catch((error) => log.log("warning", error.message));
    } finally {
      control.stopWaiting();
      await launched.leave();
      await server.close();
      await reported;
      if (launched.mustStay) dir.keep();
    }
    return failure ? exitCodeOf(failure) : EXIT.done;
  } catch (error) {
    control.sourceReports = false;
    if (error instanceof UsageError) throw error;
    const failure = asMigrationError(error, "destination");
    await hooks.end(
      resultEvent({ isLaunch: true, startedAt, bytes: migration?.bytes ?? 0, error: failure }),
    );
    return exitCodeOf(failure);
  }
}

/** The guest is known once its QEMU was started. */
function identityOf(migration: LaunchedMigration, runDir: string): Identity {
  return {
    ...{ role: "destination", pid: Deno.pid, runDir },
    get qmp() {
      return migration.qmp;
    },
    get guest() {
      return migration.guest;
    },
  };
}
