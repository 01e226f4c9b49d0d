/**
 * The plan of a launch: everything that prevents it, and everything that is done. Pure.
 *
 * @module
 */
import { writeCommand } from "../command/mod.ts";
import { Collected, type Findings } from "../../migrate/mod.ts";
import type {
  DiskDescription,
  LaunchCopy,
  LaunchFileFacts,
  LaunchImage,
  LaunchStart,
  Params,
} from "../../rpc/mod.ts";
import type { MachineDescription } from "../description.ts";
import { launchName, unitName } from "../destination/names.ts";
import { judgeBase, judgeContent, judgeMade, judgeNeeded } from "./file_rules.ts";
import { judgeHost, type LaunchHostFacts } from "./host_rules.ts";
import { judgeCopied, judgeStaying, type KnownFile } from "./image_rules.ts";
import type { TranslatedMachine } from "./machine.ts";
import type { SourceFile } from "./planned_file.ts";
import { mapPath } from "./path_map.ts";
import { judgeRoom } from "./room_rules.ts";
import { startOf } from "./start.ts";
import type { LaunchWishes } from "./wishes.ts";

/** What is known when a launch is planned. */
export interface PlanInput {
  readonly description: MachineDescription;
  readonly machine: TranslatedMachine;
  readonly wishes: LaunchWishes;
  /** The disks that are copied, as their copies see them. */
  readonly disks: readonly DiskDescription[];
  /** The source's architecture, as `uname -m` prints it; empty where unknown. */
  readonly architecture: string;
  /** The machine's files at the source, in their order. */
  readonly here: readonly (SourceFile | undefined)[];
  readonly host: LaunchHostFacts;
  /** The same files at the destination. */
  readonly there: readonly LaunchFileFacts[];
}

/** A file that the source sends. */
export interface PlannedCopy extends LaunchCopy {
  /** Path at the source. */
  readonly from: string;
}

/** A plan; with problems it is not to be carried out. */
export interface LaunchPlan {
  /** What prevents it, and what is worth knowing. */
  readonly findings: Findings;
  /** Version of the destination's QEMU; `null` where there is none. */
  readonly qemuVersion: string | null;
  /** Name of the destination's host. */
  readonly hostname: string;
  /** Directories of `directories` that are missing. */
  readonly newDirectories: readonly string[];
  /** Directories of everything that QEMU makes. */
  readonly directories: readonly string[];
  /** Images that are created. */
  readonly images: readonly LaunchImage[];
  /** Files that the source sends. */
  readonly copies: readonly PlannedCopy[];
  /** Images that are overwritten. */
  readonly reuse: Params<"prepareLaunch">["reuse"];
  /** How QEMU is started. */
  readonly start: LaunchStart;
  /** The destination's own command that starts QEMU in its place; `null`: QEMU is started as `start` says. */
  readonly site: LaunchHostFacts["site"];
  /** The unit that it becomes where systemd starts it; the destination adds a number where it is taken. */
  readonly unit: { readonly name: string; readonly scope: "system" | "user" };
}

/** Judges everything and plans the launch. */
export function planLaunch(input: PlanInput): LaunchPlan {
  const { machine, wishes, host, description } = input;
  const found = new Collected();
  found.add(machine.findings);
  const known = machine.files.flatMap((file, i): KnownFile[] => {
    const there = input.there[i];
    return there ? [{ file, here: input.here[i], there }] : [];
  });
  judgeTwins(known, found);
  const sent = known.filter((one) => judge(one, wishes, found, host.site !== null));
  const images = known.filter(({ file, there }) => file.use === "copied" && isNew(there))
    .flatMap((one) => imageOf(one, input));
  const copies = sent.map(copyOf);
  judgeHost(
    {
      ...{ description, wishes, architecture: input.architecture },
      ...{ command: machine.command, createsImages: images.length > 0 },
    },
    host,
    found,
  );
  judgeRoom(roomOf(known, images, copies), found);
  const directories = known.filter(({ file }) => makesFile(file.use)).map(({ file }) =>
    directoryOf(file.to)
  );
  const newDirectories = known.filter(({ file, there }) =>
    !there.directory && (makesFile(file.use) || images.some(({ name }) => name === file.name) ||
      sent.some((one) => one.file === file))
  ).map(({ file }) => directoryOf(file.to));
  const argv = host.site ? [] : [
    host.qemu?.path ?? machine.command.binary,
    ...writeCommand(machine.command).slice(1),
  ];
  return {
    findings: found,
    hostname: host.hostname,
    qemuVersion: host.qemu?.version ?? null,
    newDirectories: unique(newDirectories),
    directories: unique([...directories, ...newDirectories]),
    ...{ images, copies },
    reuse: known.filter(({ file, there }) => file.use === "copied" && !isNew(there))
      .map(({ file: { name, to: path } }) => ({ name, path })),
    site: host.site,
    start: startOf({ description, machine, wishes, host, cwd: cwdOf(known) }, argv),
    unit: {
      name: unitName(launchName(description.guest.name, description.guest.uuid, "")),
      scope: host.user.uid === 0 ? "system" : "user",
    },
  };
}

/** @returns whether the source sends the file. */
function judge(
  known: KnownFile,
  wishes: LaunchWishes,
  found: Collected,
  bySite: boolean,
): boolean {
  switch (known.file.use) {
    case "copied":
      judgeCopied(known, wishes, found);
      return false;
    case "shared":
    case "kept":
      judgeStaying(known, found);
      return false;
    case "content":
      return judgeContent(known, found);
    case "base":
      judgeBase(known, found);
      return false;
    case "needed":
      judgeNeeded(known, found);
      return false;
    case "socket":
    case "output":
      // A QEMU with a command line of its own may have them elsewhere.
      if (!bySite) judgeMade(known, found);
      return false;
    case "cwd":
      return false;
  }
}

/** Every path of the command line is absolute: QEMU runs in any directory. */
function cwdOf(known: readonly KnownFile[]): string {
  const cwd = known.find(({ file }) => file.use === "cwd");
  return cwd?.there.state === "directory" ? cwd.file.to : "/";
}

/** Two files of the source cannot be one at the destination. */
function judgeTwins(known: readonly KnownFile[], found: Collected): void {
  const files = known.filter(({ file }) => file.use !== "cwd" && file.use !== "needed");
  for (const [i, { file }] of files.entries()) {
    const twin = files.slice(0, i).find((other) => other.file.to === file.to);
    if (!twin) continue;
    found.problem(
      "source",
      "not-launchable",
      `${twin.file.name} and ${file.name} are both at ${file.to} of the destination, expected a path for each. ` +
        "Change --map or --disk",
    );
  }
}

function imageOf({ file, here }: KnownFile, { wishes, disks }: PlanInput): LaunchImage[] {
  const { image, name, to: path } = file;
  if (!image) return [];
  const isQcow2 = image.format === "qcow2";
  // The copied disk can be a part of its image, or have grown since.
  const size = disks.find((disk) => disk.name === name)?.sizeBytes ?? image.virtualSize;
  const { backing } = image;
  return [{
    ...{ name, path, format: image.format, sizeBytes: Math.max(size, image.virtualSize) },
    clusterBytes: isQcow2 ? image.clusterSize : null,
    compat: isQcow2 ? image.compat : null,
    extendedL2: isQcow2 && image.extendedL2,
    lazyRefcounts: isQcow2 && image.lazyRefcounts,
    allocated: image.allocated,
    backing: wishes.sync === "top" && backing
      ? { path: mapPath(backing.path, wishes.maps), format: backing.format }
      : null,
    mode: here?.mode ?? image.mode,
  }];
}

function copyOf({ file, here }: KnownFile, i: number): PlannedCopy {
  const { sizeBytes, sha256, mode } = here!;
  return {
    ...{ name: file.name, path: file.to, from: file.from, channel: `file-${i}` },
    ...{ sizeBytes: sizeBytes!, sha256: sha256!, mode },
  };
}

function roomOf(
  known: readonly KnownFile[],
  images: readonly LaunchImage[],
  copies: readonly PlannedCopy[],
) {
  return known.flatMap(({ file, here, there }) => {
    const free = there.freeBytes;
    const image = images.find(({ name }) => name === file.name);
    const copy = copies.find(({ name }) => name === file.name);
    const at = { name: file.name, path: file.to, free };
    if (copy) return [{ ...at, least: copy.sizeBytes, most: copy.sizeBytes }];
    if (!image) return [];
    const most = image.sizeBytes;
    // An image that arrives flat has the content of its whole chain.
    const flat = image.backing === null ? file.image?.chainBytes : null;
    const taken = flat ?? here?.allocatedBytes ?? 0;
    const least = image.allocated ? most : Math.min(most, taken);
    return [{ ...at, least, most }];
  });
}

function isNew({ state }: LaunchFileFacts): boolean {
  return state === "missing";
}

function makesFile(use: KnownFile["file"]["use"]): boolean {
  return use === "socket" || use === "output";
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

function unique(paths: readonly string[]): string[] {
  return [...new Set(paths)];
}
