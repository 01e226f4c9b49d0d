import { systemClock } from "../../io/mod.ts";
import { asMigrationError, MigrationError, SourceMigration } from "../../migrate/mod.ts";
import { listenUnix } from "../../tunnel/mod.ts";
import type { Command } from "../args.ts";
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
  const { report, log } = output;
  const start = systemClock.now();
  const local = await localEnd(options);
  const warning = checkSafety(options.destination, options);
  if (warning) report({ event: "warning", code: "not-encrypted", message: warning });
  const stop = new AbortController();
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
    migration = new SourceMigration({
      qmp,
      runDir,
      connect: connector(options.destination, local, options, output),
      listen: listenUnix,
      disks: options.disks,
      bandwidth: options.bandwidth,
      maxDowntimeMs: options.maxDowntimeMs,
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
  }
}
