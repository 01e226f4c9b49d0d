/**
 * What QMP knows of a machine: its images, and what was added or removed since QEMU was started.
 *
 * @module
 */
import { command as runCommand, type RunProgram } from "../../host/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { QemuCommand } from "../command/mod.ts";
import type { GuestImage, MachineFacts, QemuProcess } from "../description.ts";
import { additionsOf } from "./additions.ts";
import { Edits } from "./edits.ts";
import { flatChanges } from "./flat.ts";
import { givenBy } from "./given.ts";
import { imagesOf } from "./images.ts";
import { readMachine } from "./machine_state.ts";
import { changeMedia } from "./media.ts";
import { openingsOf } from "./openings.ts";
import { removalsOf } from "./removals.ts";
import { limitsOf } from "./io_limits.ts";

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
  const additions = additionsOf(state, given, cwd);
  const media = changeMedia(state, command, given, openings, cwd, edits);
  const removals = removalsOf(state, given, edits);
  const files = await lookAtFiles(options, imagesOf(state, openings, cwd));
  return {
    version: state.version,
    machineType: state.machineType,
    images: files.images,
    added: [...media.added, ...additions.added],
    removed: removals.removed,
    changed: edits.result(),
    flat: flatChanges(command, given, openings),
    problems: [...additions.problems, ...media.problems, ...removals.problems],
    warnings: [
      ...additions.warnings,
      ...removals.warnings,
      ...limitsOf(state, given),
      ...files.warnings,
    ],
  };
}

/**
 * A line a path: its mode, or `-` where it is missing; and whether QEMU has this very file open: 1, 0, or
 * `-` where that is not known.
 */
const LOOK = `
pid=$1
shift
for path do
  mode=$(stat -L -c %a -- "$path" 2>/dev/null) || mode=-
  open=-
  if [ -n "$pid" ] && [ -r "/proc/$pid/fd" ]; then
    open=0
    for fd in "/proc/$pid/fd"/*; do
      if [ "$path" -ef "$fd" ]; then open=1; break; fi
    done
  fi
  printf '%s %s\\n' "$mode" "$open"
done
`;

async function lookAtFiles(
  { run, process }: DescribeOptions,
  images: readonly GuestImage[],
): Promise<{ images: GuestImage[]; warnings: string[] }> {
  const local = images.filter((image) => image.local);
  if (local.length === 0) return { images: [...images], warnings: [] };
  const paths = local.map((image) => image.active ?? image.path);
  const argv = ["sh", "-c", LOOK, "sh", process ? String(process.pid) : "", ...paths];
  const lines = (await runCommand(run, argv)).split("\n");
  const warnings: string[] = [];
  const looked = new Map(local.map((image, i) => {
    const [mode = "-", open = "-"] = (lines[i] ?? "").split(" ");
    if (open === "0") {
      warnings.push(
        `disk ${image.name}: ${paths[i]} is not the file that QEMU has open. It was removed or ` +
          "replaced, or QEMU has other mounts than this vmferry",
      );
    }
    const bits = mode === "-" ? image.mode : parseInt(mode, 8) & 0o777;
    return [image, { ...image, mode: bits }];
  }));
  return { images: images.map((image) => looked.get(image) ?? image), warnings };
}
