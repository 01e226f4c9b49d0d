import type { QmpClient } from "./client.ts";
import { QmpCommandError } from "./errors.ts";

/**
 * An answer that this version, machine or build of QEMU may lack: `undefined` where QEMU rejects the command.
 *
 * @throws as `QmpClient.execute` for any other error.
 */
export async function optional<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof QmpCommandError) return undefined;
    throw error;
  }
}

/**
 * Runs a command of the human monitor and returns what it prints.
 *
 * @throws as `QmpClient.execute`.
 */
export async function hmp(qmp: QmpClient, line: string): Promise<string> {
  return await qmp.execute("human-monitor-command", { "command-line": line });
}
