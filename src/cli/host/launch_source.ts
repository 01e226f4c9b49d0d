import { type Logger, messageOf, systemClock } from "../../io/mod.ts";
import {
  type LaunchSourceOptions,
  type LaunchWishes,
  ShellWordError,
  splitWords,
} from "../../launch/mod.ts";
import { MigrationError, type Report, type RuleName } from "../../migrate/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { LaunchArguments } from "../args/launch.ts";
import { UsageError } from "../args/usage_error.ts";
import { absolutePath, realPath } from "../paths.ts";
import { describeHost } from "./describe_host.ts";
import { describeProcess, QemuProcessError } from "./qemu_process.ts";
import { runProgram } from "./run_program.ts";

/** The options of a command that launches. */
export interface LaunchingCommand {
  readonly qmp: string;
  readonly reuse: readonly string[];
  readonly shared: readonly string[];
  readonly allow: readonly RuleName[];
}

/**
 * What the source of a launch needs, from the command line and this host.
 *
 * @throws {UsageError} when the file of `--qemu-command` cannot be read.
 */
export async function launchSource(
  { qmp: qmpPath, reuse, shared, allow }: LaunchingCommand,
  { qemuCommand, dryRun: _, ...rest }: LaunchArguments,
  { qmp, report, log }: {
    readonly qmp: QmpClient;
    readonly report: Report;
    readonly log: Logger;
  },
): Promise<LaunchSourceOptions> {
  const wishes: LaunchWishes = { ...rest, reuse, shared, allow };
  return {
    ...{ qmp, wishes, report, log, realPath, run: runProgram, clock: systemClock },
    argv: qemuCommand === undefined ? undefined : await readCommand(qemuCommand),
    qmpPath: absolutePath(qmpPath),
    describeHost: describeHost(log),
    describeProcess: () => processBehind(qmpPath),
    readText: (path) => Deno.readTextFile(path),
    open: (path) => Deno.open(path),
  };
}

async function processBehind(qmpPath: string) {
  try {
    return await describeProcess(runProgram, qmpPath);
  } catch (error) {
    if (!(error instanceof QemuProcessError)) throw error;
    throw new MigrationError("refused", "not-launchable", "source", error.message, {
      cause: error,
    });
  }
}

async function readCommand(file: string): Promise<string[]> {
  let argv: string[];
  try {
    argv = splitWords(await Deno.readTextFile(file));
  } catch (error) {
    if (error instanceof ShellWordError) {
      throw new UsageError(`--qemu-command: ${file}: ${error.message}`);
    }
    throw new UsageError(`--qemu-command: can't read ${file}: ${messageOf(error)}`);
  }
  if (argv.length === 0) throw new UsageError(`--qemu-command: ${file} has no command`);
  return argv;
}
