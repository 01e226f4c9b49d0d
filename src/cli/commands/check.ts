import { systemClock } from "../../io/mod.ts";
import { asMigrationError, checkMigration, MigrationError } from "../../migrate/mod.ts";
import type { Command } from "../args/mod.ts";
import { connector } from "../endpoint/connecting_end.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import { hostAccess } from "../host/access.ts";
import { openQmp } from "../host/open_qmp.ts";
import { runProgram } from "../host/run_program.ts";
import { socketBufferNotes } from "../host/socket_buffers.ts";
import type { Output } from "../output/output.ts";
import { exitCodeOf, resultEvent } from "../output/result.ts";
import { PrivateRunDir } from "../run/run_dir.ts";
import { onSignals } from "../signals.ts";
import { ownerFrom } from "../run/socket_owner.ts";
import { UsageError } from "../args/usage_error.ts";

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
    // Only where disks are compared is there a socket of QEMU's.
    await using dir = destination &&
      await PrivateRunDir.make(options.runDir, "source", await ownerFrom(options));
    const result = await checkMigration({
      qmp,
      disks: options.disks,
      allow: options.allow,
      ram: options.ram,
      shared: options.shared,
      reuse: options.reuse,
      sync: options.sync,
      verifyBase: options.verifyBase,
      delta: options.delta,
      verify: options.verify,
      host: hostAccess(output.log),
      socketPath: dir?.compareSocket ?? "",
      connect,
      clock: systemClock,
      log: output.log,
      signal: stop.signal,
    });
    const disks = result.disks.map(({ name, sizeBytes, format }) => ({ name, sizeBytes, format }));
    const notes = [...result.notes, ...await socketBufferNotes(runProgram)];
    output.report({ event: "check", ...result, notes, disks });
    return result.problems.length === 0 ? EXIT.done : EXIT.refused;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const failure = asMigrationError(stop.signal.aborted ? stop.signal.reason : error, side);
    output.report(resultEvent({ startedAt, bytes: 0, error: failure, check: true }));
    return exitCodeOf(failure);
  }
}
