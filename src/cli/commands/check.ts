import { systemClock } from "../../io/mod.ts";
import { asMigrationError, checkMigration, MigrationError } from "../../migrate/mod.ts";
import type { Command } from "../args.ts";
import { connector } from "../connecting_end.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import { openQmp } from "../open_qmp.ts";
import type { Output } from "../output.ts";
import { exitCodeOf, resultEvent } from "../result.ts";
import { onSignals } from "../signals.ts";

type Options = Command & { readonly command: "check" };

/** Says what would stand in the way of a migration. */
export async function check(options: Options, output: Output): Promise<ExitCode> {
  const { destination } = options;
  const startedAt = systemClock.now();
  const connect = destination && await connector(destination, options, output);
  // Without another end to go to, what QEMU can be is what is to be found out.
  const side = destination ? "source" : null;
  const stop = new AbortController();
  using _signals = onSignals((name) =>
    stop.abort(new MigrationError("cancelled", "cancelled", side, `Cancelled by ${name}`))
  );
  try {
    await using qmp = await openQmp(options.qmp, side, output.log);
    const result = await checkMigration({
      qmp,
      disks: options.disks,
      allow: options.allow,
      connect,
      clock: systemClock,
      log: output.log,
      signal: stop.signal,
    });
    const disks = result.disks.map(({ name, sizeBytes, format }) => ({ name, sizeBytes, format }));
    output.report({ event: "check", ...result, disks });
    return result.problems.length === 0 ? EXIT.done : EXIT.refused;
  } catch (error) {
    const failure = asMigrationError(stop.signal.aborted ? stop.signal.reason : error, side);
    output.report(resultEvent({ startedAt, bytes: 0, error: failure, check: true }));
    return exitCodeOf(failure);
  }
}
