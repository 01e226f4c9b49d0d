/**
 * The machine's command line at the destination, and its files at both ends. Pure.
 *
 * @module
 */
import { forDestination, pathsOf, type QemuCommand, withPaths } from "../command/mod.ts";
import { currentCommand } from "../describe/current_command.ts";
import { Collected, type Findings } from "../../migrate/mod.ts";
import type { MachineDescription } from "../description.ts";
import { isFound, Places } from "./files.ts";
import { fromRoot, mapPath, unusedMaps } from "./path_map.ts";
import type { PlannedFile } from "./planned_file.ts";
import type { LaunchWishes } from "./wishes.ts";

/** The machine as the destination is to start it. */
export interface TranslatedMachine {
  readonly command: QemuCommand;
  readonly files: readonly PlannedFile[];
  /** The QMP socket that vmferry uses there; empty where the command line has none. */
  readonly qmp: string;
  readonly findings: Findings;
}

/**
 * The names of files without a directory that QEMU looks for in its working directory first, then in its
 * data directories (`qemu_find_file`, QEMU 7.2 to 11.1).
 */
export function bareNames({ command, facts }: MachineDescription): string[] {
  // Nobody knows in which directory a daemon was started.
  if (isDaemon(command)) return [];
  const found = pathsOf(currentCommand(command, facts, [])).filter((at) => at.searched);
  return [...new Set(found.filter(isFound).map(({ path }) => path))];
}

/**
 * Translates the machine.
 *
 * @param copied names of the disks that are copied.
 * @param qmp the source's QMP socket, as its command line names it, from the root.
 * @param bySite a command of the user starts QEMU there, with a command line of its own: what this one has
 * beyond files is no problem.
 * @param near those of {@link bareNames} that lie in QEMU's working directory.
 */
export function translate(
  description: MachineDescription,
  wishes: LaunchWishes,
  copied: readonly string[],
  qmp: string,
  bySite = false,
  near: ReadonlySet<string> = new Set(),
): TranslatedMachine {
  const { facts, process } = description;
  const found = new Collected();
  const problem = (message: string) => found.problem("source", "not-launchable", message);
  const doubt = bySite ? (message: string) => void found.warnings.push(message) : problem;
  facts.problems.forEach(doubt);
  found.warnings.push(...facts.warnings);
  if (process.otherMounts !== null) {
    found.warnings.push(
      `QEMU's paths may not be those of the source's host: ${process.otherMounts}`,
    );
  }
  const current = currentCommand(description.command, facts, wishes.sync === "full" ? copied : []);
  // From here on a path as any other: the destination's QEMU would find a file of its own.
  const now = withPaths(
    current,
    (path, at) => at.searched && near.has(path) ? fromRoot(path, process.cwd) : path,
  );
  const changes = { removed: [], added: [], machineType: facts.machineType };
  const arriving = forDestination(now, changes);
  arriving.problems.forEach(doubt);
  lostPaths(description, now).forEach(doubt);
  const places = new Places(description, wishes, copied);
  const files = places.files(pathsOf(arriving.command));
  for (const { name, local, path } of facts.images) {
    if (local || wishes.shared.includes(name)) continue;
    problem(
      `disk ${name} is at ${path}, where vmferry creates no image. If the destination reaches it too, add ` +
        `--shared ${name}; else start the destination's QEMU yourself`,
    );
  }
  for (const { name } of wishes.diskPaths) {
    if (facts.images.some((image) => image.name === name)) continue;
    const names = facts.images.map((image) => image.name).join(", ") || "none";
    problem(`--disk ${name}: there is no such image. Images: ${names}`);
  }
  const socket = files.find(({ use, from }) => use === "socket" && from === qmp);
  if (!socket && !bySite) {
    problem(
      `the QMP socket ${qmp} is not in QEMU's command line, expected the path of its -qmp, -mon or -chardev. ` +
        "Give --qmp that path",
    );
  }
  const moved = withPaths(now, (path, at) => places.to(path, at));
  // Its warnings name paths: those of the destination.
  const { command, warnings } = forDestination(moved, changes);
  if (!bySite) found.warnings.push(...warnings);
  const all = [
    ...(bySite ? files.filter(({ use }) => use !== "needed") : files),
    ...basesOf(description, wishes, copied),
    { name: "cwd", use: "cwd", from: process.cwd, to: places.cwd, image: null } as const,
  ];
  for (const { from, to } of unusedMaps(wishes.maps, all.map((file) => file.from))) {
    found.warnings.push(`--map ${from}=${to}: the guest has no file in ${from}, nothing is mapped`);
  }
  const qmpThere = socket?.to ?? (bySite ? mapPath(qmp, wishes.maps) : "");
  return { command, qmp: qmpThere, findings: found, files: all };
}

function isDaemon({ options }: QemuCommand): boolean {
  return options.some(({ name }) => name === "daemonize");
}

/** QEMU changes to `/` when it becomes a daemon, after it has opened its files. */
function lostPaths({ command }: MachineDescription, now: QemuCommand): string[] {
  if (!isDaemon(command)) return [];
  return pathsOf(now).filter((at) => !at.path.startsWith("/") && !isFound(at)).map((
    { option, path },
  ) =>
    `-${option}: the path ${path} began at the directory in which QEMU was started, which -daemonize has left. ` +
    "Give the command line with absolute paths by --qemu-command FILE"
  );
}

/** The images below, which the destination must have where only the uppermost ones are copied. */
function basesOf(
  { facts }: MachineDescription,
  { sync, maps }: LaunchWishes,
  copied: readonly string[],
): PlannedFile[] {
  if (sync === "full") return [];
  return facts.images.flatMap(({ name, backing }) =>
    backing && copied.includes(name)
      ? [{
        ...{ name: `${name}-backing`, use: "base" as const, image: null },
        ...{ from: backing.path, to: mapPath(backing.path, maps) },
      }]
      : []
  );
}
