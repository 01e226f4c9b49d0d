import { type Logger, messageOf, systemClock } from "../../io/mod.ts";
import {
  type CheckAccess,
  checkDomain,
  DomainMigration,
  domainRefusal,
  type DomainSourceRecord,
  type SourcePlan,
  unsettledAdvice,
} from "../../domain/mod.ts";
import { MigrateOptionError, type MigrateOptions, parseMigrateOptions } from "../../libvirt/mod.ts";
import { asMigrationError, MigrationError, type Report } from "../../migrate/mod.ts";
import type { DomainCommand } from "../args/domain.ts";
import { UsageError } from "../args/usage_error.ts";
import { CONTROL_SOCKET } from "../control/protocol.ts";
import { SourceControl } from "../control/source_control.ts";
import { RunFiles } from "../report/run_files.ts";
import type { Identity } from "../control/status_board.ts";
import { connector } from "../endpoint/connecting_end.ts";
import { formatDestination } from "../endpoint/ticket_file.ts";
import { KEPT_TICKET, KeptTicket } from "../endpoint/ticket_use.ts";
import { describeHost } from "../host/describe_host.ts";
import { domainSourceHost, removeSocketDir } from "../host/domain_host.ts";
import { fileReader } from "../host/file_reader.ts";
import { runProgram } from "../host/run_program.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import type { Output } from "../output/output.ts";
import { exitCodeOf, resultEvent } from "../output/result.ts";
import { Place } from "../parallel/place.ts";
import { removeAbandoned } from "../run/abandoned.ts";
import { runBase } from "../run/base.ts";
import { type DeadRun, findDeadRuns } from "../run/domain_journal.ts";
import { DOMAIN_SOURCE_JOURNAL, JournalFile } from "../run/journal_file.ts";
import { PrivateRunDir } from "../run/run_dir.ts";

const RESUME = "the guest was paused and stays so: 'virsh resume' at the destination continues it";

/** The source of a domain: has libvirt migrate it through the tunnel. */
export async function domain(options: DomainCommand, output: Output): Promise<ExitCode> {
  const { log } = output;
  await using files = await RunFiles.open(options, output, "source");
  await using control = new SourceControl(options, files);
  const { report, limits, signal } = control;
  const startedAt = systemClock.now();
  let kept: KeptTicket | undefined;
  const told = { report, log, line: (text: string) => output.line(text) };
  const connect = await connector(options.destination, options, told, { kept: () => kept });
  control.begin();
  let migration: DomainMigration | undefined;
  try {
    const migrate = migrateOptions(options.virshOptions);
    const base = runBase(options.runDir);
    await using place = await Place.take({
      ...{ parallel: options.parallel, runDir: options.runDir },
      ...{ what: `domain "${options.domain}"`, signal, report, log },
      onWait: async (dir) => {
        const identity = identityOf(options, dir.directory, () => undefined);
        await control.serve(dir.own(CONTROL_SOCKET), identity);
      },
      onTurn: () => control.beginTimeout(),
    });
    await removeAbandoned(base, log);
    await using run = await PrivateRunDir.make(options.runDir, "source");
    using journal = await JournalFile.open<DomainSourceRecord>(
      run.directory,
      DOMAIN_SOURCE_JOURNAL,
    );
    using dead = await DeadRuns.find(base, log);
    kept = new KeptTicket(run.own(KEPT_TICKET));
    const identity = identityOf(options, run.directory, () => migration?.found);
    await control.serve(run.own(CONTROL_SOCKET), identity);
    await place.begin();
    migration = new DomainMigration({
      ...{ name: options.domain, uri: options.connect, migrate, limits, connect, report, log },
      clock: systemClock,
      delta: options.delta,
      check: (access) => check(access, options, migrate, report, log),
      destination: formatDestination(options.destination),
      earlier: dead.records,
      host: {
        ...domainSourceHost(options.connect, (name) => run.own(name)),
        journal,
      },
      signal,
    });
    control.drive(migration);
    await place.share({
      ...{ limits, phase: () => control.phase, bytes: () => migration?.bytes ?? 0 },
    });
    try {
      const migrated = await migration.run();
      const next = migrated.guest === "paused" ? [RESUME] : [];
      report(resultEvent({ isDomain: true, startedAt, ...migrated, next }));
      return EXIT.done;
    } catch (error) {
      const failure = asMigrationError(error, "source");
      if (failure.kind !== "unknown") throw failure;
      const { bytes, record } = migration;
      if (migration.leftBehind) run.keep();
      const next = record ? unsettledAdvice(record, failure.code) : [];
      report(resultEvent({ isDomain: true, startedAt, bytes, error: failure, next }));
      return exitCodeOf(failure);
    } finally {
      await dead.remove(migration.settled);
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const failure = asMigrationError(error, "source");
    report(
      resultEvent({ isDomain: true, startedAt, bytes: migration?.bytes ?? 0, error: failure }),
    );
    return exitCodeOf(failure);
  }
}

/** Checks the domain and both hosts; see {@link CheckSource}. */
async function check(
  access: CheckAccess,
  { domain: name, reuse, shared, delta }: DomainCommand,
  migrate: MigrateOptions,
  report: Report,
  log: Logger,
): Promise<SourcePlan> {
  const { problems, warnings, notes, plan } = await checkDomain({
    ...{ ...access, name, reuse, shared, delta, migrate, clock: systemClock, log },
    ...{ run: runProgram, describeHost: describeHost(log), files: fileReader },
  });
  for (const note of notes) log.log("info", note);
  for (const message of warnings) report({ event: "warning", code: "domain", message });
  if (!plan) throw domainRefusal(problems);
  return plan;
}

/** Reads the options for `virsh migrate`; those that cannot work are refused as the check refuses others. */
function migrateOptions(words: readonly string[]): MigrateOptions {
  try {
    return parseMigrateOptions(words);
  } catch (error) {
    if (!(error instanceof MigrateOptionError)) throw error;
    throw new MigrationError("refused", "option-refused", "source", error.message, {
      cause: error,
    });
  }
}

/** What distinguishes this run from others. A domain that libvirt does not name is refused later. */
function identityOf(
  options: DomainCommand,
  runDir: string,
  found: () => DomainMigration["found"],
): Identity {
  return {
    ...{ role: "source", pid: Deno.pid, runDir, qmp: "", libvirt: options.connect },
    get guest() {
      const { name, uuid } = found() ?? { name: options.domain, uuid: null };
      return { name, uuid };
    },
  };
}

/** The runs whose processes are gone. Their sockets are removed, and the records that say nothing any more. */
class DeadRuns implements Disposable {
  readonly #runs: readonly DeadRun[];
  readonly #log: Logger;

  static async find(base: string, log: Logger): Promise<DeadRuns> {
    const left: DeadRun[] = [];
    for (const run of await findDeadRuns(base, log)) {
      const { record } = run;
      await removeSocketDir(record.socketDir).catch((error) =>
        log.log("warning", messageOf(error))
      );
      if (record.state === "migrating") left.push(run);
      else {
        await run.remove();
        run[Symbol.dispose]();
      }
    }
    return new DeadRuns(left, log);
  }

  private constructor(runs: readonly DeadRun[], log: Logger) {
    this.#runs = runs;
    this.#log = log;
  }

  get records(): readonly DomainSourceRecord[] {
    return this.#runs.map(({ record }) => record);
  }

  /** Removes the directories of runs that are settled. */
  async remove(settled: readonly DomainSourceRecord[]): Promise<void> {
    for (const run of this.#runs) {
      if (!settled.includes(run.record)) continue;
      await run.remove();
      this.#log.log("info", `the earlier migration of domain ${run.record.name} is settled`);
    }
  }

  [Symbol.dispose](): void {
    for (const run of this.#runs) run[Symbol.dispose]();
  }
}
