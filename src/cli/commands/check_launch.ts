import { systemClock } from "../../io/mod.ts";
import { commandsOf, describeSource, makePlan } from "../../launch/mod.ts";
import {
  asMigrationError,
  checkMigration,
  DestinationPeer,
  MigrationError,
} from "../../migrate/mod.ts";
import { describeMachine } from "../../qmp/mod.ts";
import type { LaunchArguments } from "../args/launch.ts";
import type { CheckCommand } from "../args/migration.ts";
import { UsageError } from "../args/usage_error.ts";
import type { Destination } from "../args/ends.ts";
import { connector } from "../endpoint/connecting_end.ts";
import { hostAccess } from "../host/access.ts";
import { launchSource } from "../host/launch_source.ts";
import { openQmp } from "../host/open_qmp.ts";
import { runProgram } from "../host/run_program.ts";
import { socketBufferNotes } from "../host/socket_buffers.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import type { Output } from "../output/output.ts";
import { exitCodeOf, resultEvent } from "../output/result.ts";
import { onSignals } from "../signals.ts";

/** `check --launch`, or `migrate --launch --dry-run`. */
export interface CheckLaunchOptions extends Omit<CheckCommand, "command" | "launch" | "disks"> {
  readonly destination: Destination;
  readonly launch: LaunchArguments;
  /** Names of the disks to copy; none: every disk that can be mirrored. */
  readonly disks: readonly string[];
}

/** Reports what prevents a launch, and with `--dry-run` what it does. Changes nothing. */
export async function checkLaunch(options: CheckLaunchOptions, output: Output): Promise<ExitCode> {
  const { launch, destination } = options;
  const { log } = output;
  const startedAt = systemClock.now();
  const connect = await connector(destination, options, output);
  const stop = new AbortController();
  using _signals = onSignals((name) =>
    stop.abort(new MigrationError("cancelled", "cancelled", "source", `Cancelled by ${name}`))
  );
  const { signal } = stop;
  try {
    await using qmp = await openQmp(options.qmp, "source", log);
    const access = await launchSource(options, launch, { qmp, report: output.report, log });
    const own = await checkMigration({
      ...{ qmp, log, signal, clock: systemClock, socketPath: "", connect: undefined },
      ...{ allow: options.allow, shared: options.shared, reuse: options.reuse, ram: options.ram },
      disks: options.disks.map((name) => ({ name, local: name })),
      host: hostAccess(log),
    });
    const disks = own.disks.map(({ name, sizeBytes, format }) => ({ name, sizeBytes, format }));
    const { name = null, uuid = null } = await describeMachine(qmp);
    const description = await describeSource(access, { name, uuid });
    const peer = new DestinationPeer(await connect(signal), { clock: systemClock, log });
    try {
      const plan = await makePlan(peer, { ...access, description, disks, signal });
      const problems = [...own.problems, ...plan.findings.problems];
      output.report({
        ...{ event: "check", role: "source", disks, differences: own.differences },
        ends: [...own.ends, { side: "destination", qemuVersion: plan.qemuVersion }],
        problems: problems.map(({ side, message }) => ({ side, message })),
        warnings: [...own.warnings, ...plan.findings.warnings],
        notes: [...plan.findings.notes, ...await socketBufferNotes(runProgram)],
      });
      if (launch.dryRun) {
        const target = destination.transport === "ssh" ? destination : undefined;
        output.report({ event: "plan", commands: commandsOf(plan, target) });
      }
      return problems.length === 0 ? EXIT.done : EXIT.refused;
    } finally {
      await peer.close();
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const failure = asMigrationError(signal.aborted ? signal.reason : error, "source");
    output.report(resultEvent({ startedAt, bytes: 0, error: failure, check: true }));
    return exitCodeOf(failure);
  }
}
