import { systemClock } from "../../io/mod.ts";
import { asMigrationError, Limits, MigrationError, SourceMigration } from "../../migrate/mod.ts";
import { listenUnix } from "../../tunnel/mod.ts";
import type { Command } from "../args.ts";
import { controlSource, identify } from "../control/controlled.ts";
import { CONTROL_SOCKET } from "../control/protocol.ts";
import { ControlServer } from "../control/server.ts";
import { StatusBoard } from "../control/status_board.ts";
import { checkSafety } from "../endpoint.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import { openQmp } from "../open_qmp.ts";
import type { Output } from "../output.ts";
import { exitCodeOf, resultEvent } from "../result.ts";
import { PrivateRunDir } from "../run_dir.ts";
import { onSignals } from "../signals.ts";
import { connector, localEnd } from "../tunnel_options.ts";

type Options = Command & { readonly command: "migrate" };

/** The source: carries the guest to a receiving end. */
export async function migrate(options: Options, output: Output): Promise<ExitCode> {
  const { log } = output;
  const board = new StatusBoard();
  const report = board.noting(output.report);
  const limits = new Limits(options.bandwidth, options.maxDowntimeMs);
  const start = systemClock.now();
  const local = await localEnd(options);
  const warning = checkSafety(options.destination, options);
  if (warning) report({ event: "warning", code: "not-encrypted", message: warning });
  const stop = new AbortController();
  let control: ControlServer | undefined;
  let migration: SourceMigration | undefined;
  using _signals = onSignals((name) => {
    if (stop.signal.aborted) return;
    stop.abort(new MigrationError("cancelled", "cancelled", "source", `Cancelled by ${name}`));
  });
  const stopTimer = options.timeoutMs === 0
    ? () => {}
    : systemClock.after(options.timeoutMs, () => {
      const message = `Not done within ${options.timeoutMs / 1000} s`;
      stop.abort(new MigrationError("failed", "timeout", "source", message));
    });
  try {
    await using qmp = await openQmp(options.qmp, "source", log);
    await using runDir = await PrivateRunDir.make(options.runDir);
    const identity = await identify("source", qmp, options.qmp, runDir.folder);
    control = new ControlServer(
      await listenUnix(runDir.path(CONTROL_SOCKET)),
      controlSource(board, identity, limits, stop),
      systemClock,
      log,
    );
    migration = new SourceMigration({
      qmp,
      runDir,
      connect: connector(options.destination, local, options, { report, log }),
      listen: listenUnix,
      disks: options.disks,
      limits,
      quitSource: options.quitSource,
      report,
      clock: systemClock,
      log,
      signal: stop.signal,
    });
    const migrated = await migration.run();
    report(resultEvent({ startedAt: start, ...migrated }));
    return EXIT.done;
  } catch (error) {
    const failure = asMigrationError(error, "source");
    report(resultEvent({ startedAt: start, bytes: migration?.bytes ?? 0, error: failure }));
    return exitCodeOf(failure);
  } finally {
    stopTimer();
    await control?.close();
  }
}
