import { type Logger, messageOf, systemClock } from "../../io/mod.ts";
import {
  adviceOn,
  asMigrationError,
  SourceMigration,
  type SourceRecord,
} from "../../migrate/mod.ts";
import { launchBy, type LeftGuest, type QemuProcess } from "../../launch/mod.ts";
import { formatDestination } from "../endpoint/ticket_file.ts";
import type { Command } from "../args/mod.ts";
import { identify } from "../control/controlled.ts";
import { CONTROL_SOCKET } from "../control/protocol.ts";
import { SourceControl } from "../control/source_control.ts";
import type { Identity } from "../control/status_board.ts";
import { connector } from "../endpoint/connecting_end.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import { Hooks } from "../host/hooks.ts";
import { disableUnit } from "../host/disable_unit.ts";
import { stateDirectory } from "../host/launch_host.ts";
import { markMoved } from "../run/mark_moved.ts";
import { runProgram } from "../host/run_program.ts";
import { launchSource } from "../host/launch_source.ts";
import { QemuLog } from "../host/qemu_log.ts";
import { openQmp } from "../host/open_qmp.ts";
import type { Output } from "../output/output.ts";
import { realPath } from "../paths.ts";
import { whereIsIt } from "../output/where_is_it.ts";
import { exitCodeOf, type LaunchedQemu, resultEvent } from "../output/result.ts";
import { recoverCommand, RunState } from "../run/run_state.ts";
import { hostAccess } from "../host/access.ts";
import { listenFor, ownerFrom, ownerOfSocket } from "../run/socket_owner.ts";
import { KEPT_TICKET, KeptTicket } from "../endpoint/ticket_use.ts";
import { UsageError } from "../args/usage_error.ts";

type Options = Command & { readonly command: "migrate" };

/** The source: carries the guest to a receiving end. */
export async function migrate(options: Options, output: Output): Promise<ExitCode> {
  const { log } = output;
  await using control = new SourceControl(options, output);
  const { report, limits, signal } = control;
  const start = systemClock.now();
  const owner = await ownerFrom(options);
  let kept: KeptTicket | undefined;
  const told = { report, log, line: (text: string) => output.line(text) };
  const connect = await connector(options.destination, options, told, { kept: () => kept });
  control.begin();
  let migration: SourceMigration | undefined;
  let guest: Identity["guest"] | undefined;
  const hooks = new Hooks({
    ...{ given: options.hooks, role: "source", guest: () => guest, report, log },
    ...{ qmp: () => options.qmp, peer: () => formatDestination(options.destination) },
  });
  try {
    const qmpPath = await realPath(options.qmp);
    await using qmp = await openQmp(options.qmp, "source", log);
    await using qemuLog = new QemuLog(options.qmp, log);
    const socketOwner = owner ?? (options.launch && await ownerOfSocket(qmpPath));
    await using run = await RunState.open<SourceRecord>({
      base: options.runDir,
      qmp,
      qmpPath,
      side: "source",
      resume: options.resume,
      socketOwner,
      // A dry run changes nothing.
      ...(options.launch?.dryRun ? {} : { next: { launches: options.launch !== undefined } }),
      log,
    });
    kept = new KeptTicket(run.dir.own(KEPT_TICKET));
    const identity = await identify("source", qmp, options.qmp, run.dir.directory);
    guest = identity.guest;
    await control.serve(run.dir.own(CONTROL_SOCKET), identity);
    await qemuLog.ready();
    const { launch } = options;
    let unit: QemuProcess["unit"] = null;
    let launched: LaunchedQemu | undefined;
    const arrange = launch && launchBy({
      ...await launchSource(options, launch, { qmp, report, log }),
      described: ({ process }) => unit = process.unit,
      started: (qemu) => launched = qemu,
    });
    migration = new SourceMigration({
      qmp,
      qmpPath,
      runDir: run.dir,
      journal: run.journal,
      resume: run.record,
      destination: formatDestination(options.destination),
      graceMs: options.graceMs,
      connect,
      ...(arrange ? { arrange } : {}),
      sync: launch?.sync ?? "full",
      ...hooks.beforeSwitchover,
      listen: (path) => listenFor(path, socketOwner),
      disks: options.disks,
      shared: options.shared,
      reuse: options.reuse,
      host: hostAccess(log),
      compareSocket: run.dir.compareSocket,
      limits,
      quitSource: options.quitSource,
      lastWords: qemuLog.read,
      removeFile: (path) => Deno.remove(path).catch(() => {}),
      allow: options.allow,
      report,
      clock: systemClock,
      log,
      signal,
    });
    control.drive(migration);
    try {
      const migrated = await migration.run();
      if (migration.leftBehind) run.dir.keep();
      const qmpPaths = [qmpPath, options.qmp];
      const left = await leave({ ...identity.guest, qmpPaths }, options.destination, log);
      if (left) report({ event: "warning", code: "launch", message: left });
      const disabled = launch && await disableUnit(runProgram, unit, launch.persist);
      if (disabled) report({ event: "warning", code: "launch", message: disabled });
      const { quitSource } = options;
      await hooks.end(resultEvent({ startedAt: start, ...migrated, launched, quitSource }));
      return EXIT.done;
    } catch (error) {
      if (migration.leftBehind) run.dir.keep();
      const failure = asMigrationError(error, "source");
      if (failure.kind !== "unknown") throw failure;
      run.dir.keep();
      const { bytes } = migration;
      const next = failure.code === "guest-asleep-stuck" ? adviceOn(failure) : whereIsIt(
        recoverCommand(qmpPath, options.runDir),
        migration.record,
        options.destination.transport === "ssh",
      );
      await hooks.end(resultEvent({ startedAt: start, bytes, error: failure, next }));
      return exitCodeOf(failure);
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const failure = asMigrationError(error, "source");
    const { bytes = 0, memoryBegan } = migration ?? {};
    const isLaunch = options.launch !== undefined;
    await hooks.end(
      resultEvent({ startedAt: start, bytes, memoryBegan, isLaunch, error: failure }),
    );
    return exitCodeOf(failure);
  }
}

/**
 * Keeps an earlier launch's `start.sh` from starting the copy that the guest has left.
 *
 * @returns why it may still do so, if it may.
 */
async function leave(
  guest: LeftGuest,
  to: Options["destination"],
  log: Logger,
): Promise<string | undefined> {
  const text = `This guest was moved to ${formatDestination(to)} on ${new Date().toISOString()}`;
  try {
    const marked = await markMoved(await stateDirectory(), guest, text);
    for (const path of marked) log.log("info", `${path} keeps start.sh from starting the old copy`);
    return undefined;
  } catch (error) {
    const why = messageOf(error);
    return `start.sh of an earlier launch may still start the guest at the source: ${why}`;
  }
}
