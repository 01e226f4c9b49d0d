/**
 * Which disks go, and whether the two ends fit. Pure: facts in, problems in words out.
 *
 * @module
 */
import type { Disk } from "../../qmp/mod.ts";
import type { DiskDescription, GuestDescription } from "../../rpc/mod.ts";

/** A disk as an end may mirror it: writable, with a medium, and this guest's alone. */
export function isMirrored(disk: Disk): boolean {
  return !disk.empty && !disk.readOnly && !disk.shared;
}

/** Why a disk is not mirrored, in words. */
function whyNot(disk: Disk): string {
  if (disk.empty) return "it is empty";
  if (disk.readOnly) return "it is read-only";
  return "it is shared with other guests (share-rw=on)";
}

/** What selection came to: either disks or problems. */
export interface Selection {
  readonly disks: readonly Disk[];
  readonly problems: readonly string[];
}

/** Picks the disks named in `wanted`, or every one that is mirrored where none is named. */
export function selectDisks(disks: readonly Disk[], wanted: readonly string[]): Selection {
  if (wanted.length === 0) return { disks: disks.filter(isMirrored), problems: [] };
  const problems: string[] = [];
  const chosen: Disk[] = [];
  for (const name of wanted) {
    const disk = disks.find((d) => d.name === name);
    if (!disk) {
      problems.push(`--disk ${name}: there is no such disk, there is ${listOf(disks)}`);
    } else if (!isMirrored(disk)) {
      problems.push(`--disk ${name}: it can't be mirrored, ${whyNot(disk)}`);
    } else {
      chosen.push(disk);
    }
  }
  return { disks: chosen, problems };
}

/** What a source's user says of disks that the destination has something on already. */
export interface Held {
  /** Names of disks that both ends share. */
  readonly shared: readonly string[];
  /** Names of disks that the destination has old copies of. */
  readonly reuse: readonly string[];
}

/** Divides the disks that were picked into those that are copied and those that both ends share. */
export function divideShared(
  disks: readonly Disk[],
  picked: readonly Disk[],
  { shared, reuse }: Held,
): { readonly copied: Disk[]; readonly shared: Disk[]; readonly problems: string[] } {
  const problems: string[] = [];
  const stay = disks.filter((disk) => shared.includes(disk.name));
  const copied = picked.filter((disk) => !stay.includes(disk));
  for (const name of shared) {
    const disk = stay.find((d) => d.name === name);
    if (!disk) problems.push(`--shared ${name}: there is no such disk, there is ${listOf(disks)}`);
    else if (disk.empty) problems.push(`--shared ${name}: it is empty`);
  }
  for (const name of reuse) {
    if (copied.some((disk) => disk.name === name)) continue;
    problems.push(`--reuse ${name}: no such disk is copied, there is ${listOf(copied)}`);
  }
  return { copied, shared: stay, problems };
}

/** Disks that a source can't give away, in words: a mirror would not see what the guest writes to them. */
export function unmovable(disks: readonly Disk[]): string[] {
  return disks.filter((d) => d.passedThrough).map(({ name }) =>
    `disk ${name} is a SCSI device of the host (scsi-block, scsi-generic): what the guest writes goes past ` +
    "QEMU's block layer and would not be copied; --disk names those that go"
  );
}

/**
 * Disks that are not copied, in words: `shared` ones are to be had at both hosts, `media` are read-only.
 * Firmware code is no disk of the guest's.
 */
export function notCopied(disks: readonly Disk[]): { shared: string[]; media: string[] } {
  const stays = disks.filter((disk) => !isMirrored(disk) && !disk.empty && !disk.firmware);
  return {
    shared: stays.filter((disk) => !disk.readOnly).map(({ name }) =>
      `disk ${name} is not copied: it is shared with other guests (share-rw=on), and the ` +
      "destination must reach the same storage"
    ),
    media: stays.filter((disk) => disk.readOnly).map(({ name }) =>
      `disk ${name} is read-only and not copied: give the destination the same medium`
    ),
  };
}

/** What of these disks does not go along, in words: a mirror copies what the guest sees, as it is now. */
export function staysBehind(disks: readonly Disk[]): string[] {
  const told = (what: string, of: (disk: Disk) => readonly string[] | undefined) =>
    disks.filter((disk) => (of(disk) ?? []).length > 0)
      .map((disk) => `disk ${disk.name}: ${what} ${of(disk)!.join(", ")} stay behind`);
  return [
    ...told("internal snapshots", (disk) => disk.snapshots),
    ...told("persistent dirty bitmaps", (disk) => disk.bitmaps),
  ];
}

/** A disk of the source and the one it goes to. */
export interface DiskPair {
  readonly name: string;
  readonly sizeBytes: number;
  readonly local: Disk;
}

/** A `--disk NAME` or `--disk NAME=LOCAL` of the receiving end. */
export interface DiskChoice {
  readonly name: string;
  readonly local: string;
}

/** Picks the disks that `choices` map to, or every one that may be mirrored where none is named. */
export function selectLocals(locals: readonly Disk[], choices: readonly DiskChoice[]): Selection {
  if (choices.length === 0) return selectDisks(locals, []);
  const problems: string[] = [];
  const chosen = new Map<Disk, DiskChoice>();
  for (const choice of choices) {
    const { local } = choice;
    const disk = locals.find((d) => d.name === local);
    const taken = disk && chosen.get(disk);
    const problem = !disk
      ? `there is no disk ${local}, there is ${listOf(locals)}`
      : !isMirrored(disk)
      ? `${local} can't be mirrored, ${whyNot(disk)}`
      : taken
      ? `${local} stands for the source's ${taken.name} already`
      : undefined;
    if (problem !== undefined) problems.push(`${asGiven(choice)}: ${problem}`);
    else chosen.set(disk!, choice);
  }
  return { disks: [...chosen.keys()], problems };
}

/** Picks a source's disks by the same flags; it has no other end's names to map. */
export function selectOwn(disks: readonly Disk[], choices: readonly DiskChoice[]): Selection {
  const mapped = choices.filter((choice) => choice.local !== choice.name);
  const plain = choices.filter((choice) => !mapped.includes(choice)).map((choice) => choice.name);
  const selection = selectDisks(disks, plain);
  if (mapped.length === 0) return selection;
  const why = "NAME=LOCAL is for a destination, a QEMU that waits for a guest (-incoming defer)";
  const problems = mapped.map((choice) => `${asGiven(choice)}: ${why}`);
  return { disks: [], problems: [...problems, ...selection.problems] };
}

function asGiven({ name, local }: DiskChoice): string {
  return `--disk ${name === local ? name : `${name}=${local}`}`;
}

/**
 * Finds the destination's disk for each of the source's and holds their sizes together. Both ends
 * must come to the same set.
 */
export function matchDisks(
  source: readonly DiskDescription[],
  locals: readonly Disk[],
  choices: readonly DiskChoice[],
  shared: readonly DiskDescription[] = [],
): { readonly pairs: readonly DiskPair[]; readonly problems: readonly string[] } {
  const problems: string[] = [];
  const pairs: DiskPair[] = [];
  const used = new Set<Disk>();
  for (const disk of source) {
    const choice = choices.find((c) => c.name === disk.name);
    if (choices.length > 0 && !choice) {
      problems.push(`disk ${disk.name} of the source is not among those named with --disk`);
      continue;
    }
    const localName = choice?.local ?? disk.name;
    const local = locals.find((d) => d.name === localName);
    if (!local) {
      problems.push(
        `disk ${disk.name} of the source has no counterpart: there is no disk ${localName}, ` +
          `there is ${listOf(locals)}`,
      );
    } else if (!isMirrored(local)) {
      problems.push(`disk ${disk.name} of the source can't go to ${localName}: ${whyNot(local)}`);
    } else if (used.has(local)) {
      problems.push(`disk ${localName} stands for two disks of the source`);
    } else {
      used.add(local);
      const sizes = compareSizes(disk, local);
      if (sizes) problems.push(sizes);
      else pairs.push({ name: disk.name, sizeBytes: disk.sizeBytes, local });
    }
  }
  for (const disk of shared) {
    const local = localOf(disk, locals, choices);
    if (local) used.add(local);
    problems.push(...sharedProblems(disk, local));
  }
  for (const choice of choices) {
    if (![...source, ...shared].some((d) => d.name === choice.name)) {
      problems.push(`--disk ${choice.name}: the source sends no such disk`);
    }
  }
  if (choices.length === 0) {
    for (const local of locals.filter(isMirrored)) {
      if (!used.has(local) && !source.some((d) => d.name === local.name)) {
        problems.push(`disk ${local.name} has no counterpart at the source`);
      }
    }
  }
  return { pairs, problems };
}

/** The destination's disk that stands for one of the source's; by the same name where none is chosen. */
export function localOf(
  disk: Pick<DiskDescription, "name">,
  locals: readonly Disk[],
  choices: readonly DiskChoice[],
): Disk | undefined {
  const name = choices.find((choice) => choice.name === disk.name)?.local ?? disk.name;
  return locals.find((local) => local.name === name);
}

function sharedProblems(disk: DiskDescription, local: Disk | undefined): string[] {
  const { name } = disk;
  if (!local) return [`disk ${name}, which both ends share, is not at the destination`];
  if (local.empty || local.readOnly) {
    return [`disk ${name}, which both ends share, is ${local.empty ? "empty" : "read-only"} there`];
  }
  const sizes = compareSizes(disk, local);
  return sizes ? [sizes] : [];
}

function compareSizes(disk: DiskDescription, local: Disk): string | undefined {
  if (local.sizeBytes === disk.sizeBytes) return undefined;
  const smaller = local.sizeBytes < disk.sizeBytes;
  const hint = smaller
    ? "make it larger"
    : `where the medium can't be of that size, give its raw node size=${disk.sizeBytes}`;
  return `disk ${disk.name} has ${disk.sizeBytes} bytes at the source and ` +
    `${local.sizeBytes} bytes at the destination: ${hint}`;
}

/** What of the two virtual machines does not fit; an empty list when all does. */
export function compareGuests(source: GuestDescription, local: GuestDescription): string[] {
  const problems: string[] = [];
  const compare = (what: string, a: unknown, b: unknown, unit = "") => {
    if (a !== b) {
      problems.push(`the ${what} is ${a}${unit} at the source and ${b}${unit} at the destination`);
    }
  };
  compare("machine type", source.machine, local.machine);
  compare("number of vCPUs", source.vcpus, local.vcpus);
  compare("size of the memory", source.ramBytes, local.ramBytes, " bytes");
  if (source.uuid !== null && local.uuid !== null) compare("UUID", source.uuid, local.uuid);
  return problems;
}

function listOf(disks: readonly Disk[]): string {
  return disks.length === 0 ? "none" : disks.map((d) => d.name).join(", ");
}
