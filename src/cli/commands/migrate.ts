import { systemClock } from "../../io/mod.ts";
import {
  adviceOn,
  asMigrationError,
  type ErrorCode,
  SourceMigration,
  type SourceRecord,
} from "../../migrate/mod.ts";
import { launchBy, type QemuProcess } from "../../launch/mod.ts";
import { formatDestination } from "../endpoint/ticket_file.ts";
import type { Command } from "../args/mod.ts";
import { identify } from "../control/controlled.ts";
import { CONTROL_SOCKET } from "../control/protocol.ts";
import { SourceControl } from "../control/source_control.ts";
import { RunFiles } from "../report/run_files.ts";
import type { Identity } from "../control/status_board.ts";
import { connector } from "../endpoint/connecting_end.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import { Hooks } from "../host/site/hooks.ts";
import { findProcess } from "../host/qemu_process.ts";
import { holdUnit } from "../host/source_unit.ts";
import { runProgram } from "../host/run_program.ts";
import { Place } from "../parallel/place.ts";
import { leaveHost } from "../run/leave_host.ts";
import { launchSource } from "../host/launch_source.ts";
import { QemuLog } from "../host/qemu_log.ts";
import { openQmp } from "../host/open_qmp.ts";
import type { Output } from "../output/output.ts";
import { realPath } from "../paths.ts";
import { whereIsIt } from "../output/where_is_it.ts";
import { exitCodeOf, type LaunchedQemu, resultEvent } from "../output/result.ts";
import { recoverCommand, RunState } from "../run/run_state.ts";
import { hostAccess } from "../host/access.ts";
import { listenFor, ownerFrom, ownerOfQemu } from "../run/socket_owner.ts";
import { KEPT_TICKET, KeptTicket } from "../endpoint/ticket_use.ts";
import { UsageError } from "../args/usage_error.ts";

type Options = Command & { readonly command: "migrate" };

/** Where the user need not find out which host runs the guest. */
const OWN_ADVICE: readonly ErrorCode[] = [
  ...["guest-asleep-stuck", "postcopy-paused", "postcopy-lost"] as const,
];

/** The source: carries the guest to a receiving end. */
export async function migrate(options: Options, output: Output): Promise<ExitCode> {
  const { log } = output;
  await using files = await RunFiles.open(options, output, "source");
  await using control = new SourceControl(options, files);
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
    await using place = await Place.take({
      ...{ parallel: options.parallel, runDir: options.runDir, hasBegun: options.resume },
      ...{ what: `--qmp ${qmpPath}`, signal, report, log },
      onWait: async (dir) => {
        // Held for a moment only: while it waits, others may use QEMU.
        await using qmp = await openQmp(options.qmp, "source", log);
        const identity = await identify("source", qmp, options.qmp, dir.directory);
        await control.serve(dir.own(CONTROL_SOCKET), identity);
      },
      onTurn: () => control.beginTimeout(),
    });
    await using qmp = await openQmp(options.qmp, "source", log);
    await using qemuLog = new QemuLog(options.qmp, log);
    const socketOwner = owner ?? (options.launch && await ownerOfQemu(qmpPath));
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
    await place.begin(guest.name === null ? undefined : `guest "${guest.name}"`);
    await qemuLog.ready();
    const { launch } = options;
    let process: QemuProcess | undefined;
    const unitCode = launch ? "launch" : "source-unit";
    let launched: LaunchedQemu | undefined;
    const arrange = launch && launchBy({
      ...await launchSource(options, launch, { qmp, report, log }),
      described: (description) => process = description.process,
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
      introduction: files.introduction,
      connect,
      ...(arrange ? { arrange } : {}),
      sync: options.sync,
      verifyBase: options.verifyBase,
      delta: options.delta,
      verify: options.verify,
      ram: options.ram,
      ...hooks.beforeSwitchover,
      listen: (path) => listenFor(path, socketOwner),
      disks: options.disks,
      shared: options.shared,
      reuse: options.reuse,
      host: hostAccess(log),
      compareSocket: run.dir.compareSocket,
      limits,
      quitSource: options.quitSource,
      departed: async () => {
        const { messages, mustStay } = await leaveHost({
          guest: { ...identity.guest, qmpPaths: [qmpPath, options.qmp] },
          to: formatDestination(options.destination),
          // Without a launch only a QEMU that is about to end is worth a look.
          process: process ??
            (options.quitSource ? await findProcess(options.qmp, log) : undefined),
          persist: launch?.persist ?? false,
        }, log);
        for (const message of messages) report({ event: "warning", code: unitCode, message });
        return mustStay;
      },
      lastWords: qemuLog.read,
      removeFile: (path) => Deno.remove(path).catch(() => {}),
      allow: options.allow,
      report,
      clock: systemClock,
      log,
      signal,
    });
    control.drive(migration);
    await place.share({
      ...{ limits, phase: () => control.phase, bytes: () => migration?.bytes ?? 0 },
    });
    try {
      const migrated = await migration.run();
      if (migration.leftBehind) run.dir.keep();
      const { quitSource } = options;
      await hooks.end(resultEvent({ startedAt: start, ...migrated, launched, quitSource }));
      return EXIT.done;
    } catch (error) {
      if (migration.leftBehind) run.dir.keep();
      const failure = asMigrationError(error, "source");
      if (failure.kind !== "unknown") throw failure;
      run.dir.keep();
      // The user may have to end it: then it must not start the guest again.
      const left = process ?? await findProcess(options.qmp, log);
      const { messages } = await holdUnit(runProgram, left, Deno.uid() ?? 0);
      for (const message of messages) report({ event: "warning", code: unitCode, message });
      const { bytes } = migration;
      const next = OWN_ADVICE.includes(failure.code) ? adviceOn(failure) : whereIsIt(
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
