/**
 * What QMP knows of a machine: its images, and what was added or removed since QEMU was started.
 *
 * @module
 */
import type { RunProgram } from "../../host/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { QemuCommand } from "../command/command.ts";
import type { MachineFacts, QemuProcess } from "../description.ts";

/** A QEMU to describe. */
export interface DescribeOptions {
  /** A connection to it. */
  readonly qmp: QmpClient;
  /** Runs the programs that look at files. */
  readonly run: RunProgram;
  /** Its command line, with the files of `-readconfig` in place. */
  readonly command: QemuCommand;
  /** Relative paths of the command line start here. */
  readonly cwd: string;
  /** Its process; `null` where it is not known, as with `--qemu-command`: its files are not looked at. */
  readonly process: Pick<QemuProcess, "pid"> | null;
}

/**
 * Describes the machine. Changes nothing.
 *
 * @throws {QmpError} when QEMU does not answer.
 * @throws {Error} when two of its disks have the same name.
 */
export function describeMachine(_options: DescribeOptions): Promise<MachineFacts> {
  throw new Error("not yet");
}
