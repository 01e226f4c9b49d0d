import type { RunProgram } from "../../host/mod.ts";
import { MigrationError } from "../../migrate/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { GuestDescription } from "../../rpc/mod.ts";
import { CommandLineError, expandConfig, parseCommand } from "../command/mod.ts";
import { describeMachine } from "../describe/describe.ts";
import type { MachineDescription, QemuProcess } from "../description.ts";
import { fromRoot } from "../plan/path_map.ts";

/** What a look at the source's QEMU takes. */
export interface MachineAccess {
  /** QMP of the source's QEMU. */
  readonly qmp: QmpClient;
  /** Runs programs of the host. */
  readonly run: RunProgram;
  /** The QEMU behind the QMP socket. */
  readonly describeProcess: () => Promise<QemuProcess>;
  /** Reads a text file of this host. */
  readonly readText: (path: string) => Promise<string>;
  /** The command line to take in place of the process's; `undefined`: the process's. */
  readonly argv: readonly string[] | undefined;
}

/**
 * Describes the source's machine. Changes nothing.
 *
 * @throws {MigrationError} kind `refused`, code `not-launchable`, when the command line cannot be read.
 */
export async function describeSource(
  { qmp, run, describeProcess, readText, argv }: MachineAccess,
  { name, uuid }: Pick<GuestDescription, "name" | "uuid">,
): Promise<MachineDescription> {
  const process = await describeProcess();
  const command = await readCommand(argv ?? process.argv, process.cwd, readText);
  const own = argv ? null : process;
  const facts = await describeMachine({ qmp, run, command, cwd: process.cwd, process: own });
  return { guest: { name, uuid }, process, command, facts };
}

async function readCommand(
  argv: readonly string[],
  cwd: string,
  readText: (path: string) => Promise<string>,
) {
  try {
    return await expandConfig(parseCommand(argv), (path) => readText(fromRoot(path, cwd)));
  } catch (error) {
    if (!(error instanceof CommandLineError)) throw error;
    const message = `QEMU's command line cannot be read: ${error.message}. Give another one with ` +
      "--qemu-command FILE";
    throw new MigrationError("refused", "not-launchable", "source", message, { cause: error });
  }
}
