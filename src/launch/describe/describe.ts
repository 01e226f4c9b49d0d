/**
 * What QMP knows of a machine: its images, and what was added or removed since QEMU was started.
 *
 * @module
 */
import type { RunProgram } from "../../host/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { QemuCommand } from "../command/mod.ts";
import type { MachineFacts, QemuProcess } from "../description.ts";
import { additionsOf } from "./additions.ts";
import { Edits } from "./edits.ts";
import { flatChanges } from "./flat.ts";
import { givenBy } from "./given.ts";
import { imagesOf, unopened } from "./images.ts";
import { lookAtFiles } from "./look.ts";
import { readMachine } from "./machine_state.ts";
import { changeMedia } from "./media.ts";
import { openingsOf } from "./openings.ts";
import { removalsOf } from "./removals.ts";
import { limitsOf, passwordsOf } from "./settings.ts";

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
  /** Its process; `null` where it is not known, as with `--qemu-command`. */
  readonly process: Pick<QemuProcess, "pid"> | null;
}

/**
 * Describes the machine. Changes nothing.
 *
 * @throws {QmpError} when QEMU does not answer.
 * @throws {CommandLineError} for broken JSON in the command line.
 * @throws {Error} when two of its disks have the same name.
 */
export async function describeMachine(options: DescribeOptions): Promise<MachineFacts> {
  const { command, cwd } = options;
  const given = givenBy(command);
  const state = await readMachine(options.qmp);
  const openings = openingsOf(state, given, cwd);
  const edits = new Edits(command);
  const files = await lookAtFiles(options.run, options.process, imagesOf(state, openings, cwd));
  const additions = additionsOf(state, given, cwd, files.vhostNets);
  const media = changeMedia(state, command, given, openings, cwd, edits);
  const removals = removalsOf(state, given, edits);
  return {
    version: state.version,
    machineType: state.machineType,
    images: files.images,
    added: [...media.added, ...additions.added],
    removed: removals.removed,
    changed: edits.result(),
    flat: flatChanges(command, given, openings),
    problems: [
      ...additions.problems,
      ...media.problems,
      ...removals.problems,
      ...unopened(state, openings),
    ],
    warnings: [
      ...additions.warnings,
      ...removals.warnings,
      ...limitsOf(state, given),
      ...passwordsOf(given),
      ...files.warnings,
    ],
  };
}
