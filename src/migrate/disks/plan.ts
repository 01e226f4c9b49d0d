/**
 * Which disks are copied, and whether the disks and guests of both sides match. Pure; problems are
 * messages for the user.
 *
 * @module
 */
import type { Disk } from "../../qmp/mod.ts";
import type { DiskDescription, GuestDescription } from "../../rpc/mod.ts";

/** Whether a disk is copied unless --disk decides: writable, with a medium, not shared with other guests. */
export function isMirrored(disk: Disk): boolean {
  return isWritable(disk) && !disk.shared;
}

/** Whether a disk can be copied if --disk names it. */
function isWritable(disk: Disk): boolean {
  return !disk.empty && !disk.readOnly;
}

/** Why a disk is not mirrored. */
function whyNot(disk: Disk): string {
  if (disk.empty) return "it has no medium";
  if (disk.readOnly) return "it is read-only";
  return "it is shared with other guests (share-rw=on). If no other guest uses it, name it there with --disk";
}

/** The disks that were selected; with problems it is not to be used. */
export interface Selection {
  readonly disks: readonly Disk[];
  readonly problems: readonly string[];
}

/**
 * Selects the disks named in `wanted`; without names, every disk that {@link isMirrored}.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { selectDisks } from "./plan.ts";
 *
 * const { disks, problems } = selectDisks([], ["vd9"]);
 * assertEquals(disks, []);
 * assertEquals(problems, ["--disk vd9: there is no such disk. Disks: none"]);
 * ```
 */
export function selectDisks(disks: readonly Disk[], wanted: readonly string[]): Selection {
  if (wanted.length === 0) return { disks: disks.filter(isMirrored), problems: [] };
  const problems: string[] = [];
  const chosen: Disk[] = [];
  for (const name of wanted) {
    const disk = disks.find((d) => d.name === name);
    if (!disk) {
      problems.push(`--disk ${name}: there is no such disk. Disks: ${listOf(disks)}`);
    } else if (!isWritable(disk)) {
      problems.push(`--disk ${name}: the disk cannot be mirrored, because ${whyNot(disk)}`);
    } else {
      chosen.push(disk);
    }
  }
  return { disks: chosen, problems };
}

/** Names of those among `copied` that QEMU encrypts. */
export function encryptedOf(
  disks: readonly Disk[],
  copied: readonly { readonly name: string }[],
): string[] {
  return disks.filter((disk) => disk.encrypted).map(({ name }) => name)
    .filter((name) => copied.some((disk) => disk.name === name));
}

/** The options --shared and --reuse of the source: disks whose data the destination already has. */
export interface Held {
  /** Names of disks on storage that both hosts share. */
  readonly shared: readonly string[];
  /** Names of disks whose old copies at the destination are overwritten. */
  readonly reuse: readonly string[];
}

/** The selected disks, by what the migration does with them. */
export interface Division {
  readonly copied: Disk[];
  /** On storage that both hosts share. */
  readonly shared: Disk[];
  /** Names of those among `shared` that the user has not named: they are shared with other guests. */
  readonly implied: readonly string[];
  readonly problems: readonly string[];
}

/**
 * Divides the selected disks into disks that are copied and disks on shared storage.
 *
 * @param disks all disks of the guest.
 * @param picked the disks that {@link selectDisks} selected.
 * @param isNamed `--disk` has named them: the user has left out the others.
 */
export function divideShared(
  disks: readonly Disk[],
  picked: readonly Disk[],
  { shared, reuse }: Held,
  isNamed: boolean,
): Division {
  const problems: string[] = [];
  const implied = disks.filter((disk) => !isNamed && isWritable(disk) && disk.shared)
    .map(({ name }) => name).filter((name) => !shared.includes(name));
  const stay = disks.filter(({ name }) => [...shared, ...implied].includes(name));
  const copied = picked.filter((disk) => !stay.includes(disk));
  for (const name of shared) {
    const disk = stay.find((d) => d.name === name);
    if (!disk) problems.push(`--shared ${name}: there is no such disk. Disks: ${listOf(disks)}`);
    else if (disk.empty) problems.push(`--shared ${name}: the drive has no medium`);
  }
  for (const name of reuse) {
    if (copied.some((disk) => disk.name === name)) continue;
    problems.push(`--reuse ${name}: no such disk is copied. Copied disks: ${listOf(copied)}`);
  }
  return { copied, shared: stay, implied, problems };
}

/** A disk of the source and the destination's disk that it is copied to. */
export interface DiskPair {
  readonly name: string;
  readonly sizeBytes: number;
  readonly local: Disk;
}

/** A `--disk NAME` or `--disk NAME=LOCAL` of the destination. */
export interface DiskChoice {
  /** The source's name of the disk. */
  readonly name: string;
  /** The destination's name of it; the same without `=LOCAL`. */
  readonly local: string;
}

/** Selects the destination's disks that `choices` map to; without choices, every disk that can be mirrored. */
export function selectLocals(locals: readonly Disk[], choices: readonly DiskChoice[]): Selection {
  if (choices.length === 0) return selectDisks(locals, []);
  const problems: string[] = [];
  const chosen = new Map<Disk, DiskChoice>();
  for (const choice of choices) {
    const { local } = choice;
    const disk = locals.find((d) => d.name === local);
    const taken = disk && chosen.get(disk);
    const problem = !disk
      ? `there is no disk ${local}. Disks: ${listOf(locals)}`
      : !isWritable(disk)
      ? `disk ${local} cannot be mirrored, because ${whyNot(disk)}`
      : taken
      ? `disk ${local} is already the copy of the source's disk ${taken.name}`
      : undefined;
    if (problem !== undefined) problems.push(`${asGiven(choice)}: ${problem}`);
    else chosen.set(disk!, choice);
  }
  return { disks: [...chosen.keys()], problems };
}

/** Selects a source's disks by the same flags; `NAME=LOCAL` is a problem there. */
export function selectOwn(disks: readonly Disk[], choices: readonly DiskChoice[]): Selection {
  const mapped = choices.filter((choice) => choice.local !== choice.name);
  const plain = choices.filter((choice) => !mapped.includes(choice)).map((choice) => choice.name);
  const selection = selectDisks(disks, plain);
  if (mapped.length === 0) return selection;
  const why = "NAME=LOCAL is for a destination, a QEMU with -incoming defer. Give the name alone";
  const problems = mapped.map((choice) => `${asGiven(choice)}: ${why}`);
  return { disks: [], problems: [...problems, ...selection.problems] };
}

function asGiven({ name, local }: DiskChoice): string {
  return `--disk ${name === local ? name : `${name}=${local}`}`;
}

/**
 * Finds the destination's disk for each disk of the source and compares their sizes, in bytes. Each disk
 * of either side must have a counterpart.
 *
 * @param source disks that the source copies.
 * @param shared disks of the source on storage that both hosts share.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { matchDisks } from "./plan.ts";
 *
 * const { problems } = matchDisks([], [], [{ name: "vd0", local: "vd1" }]);
 * assertEquals(problems, ["--disk vd0: the source copies no such disk"]);
 * ```
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
      problems.push(`disk ${disk.name} of the source is not among the disks of --disk`);
      continue;
    }
    const localName = choice?.local ?? disk.name;
    const local = locals.find((d) => d.name === localName);
    if (!local) {
      problems.push(
        `disk ${disk.name} of the source has no counterpart: the destination has no disk ` +
          `${localName}. Its disks: ${listOf(locals)}`,
      );
    } else if (!isMirrored(local) && !(choice && isWritable(local))) {
      problems.push(
        `disk ${disk.name} of the source cannot be copied to ${localName}: ${whyNot(local)}`,
      );
    } else if (local.temporary) {
      problems.push(
        `disk ${disk.name} of the source cannot be copied to ${localName}: it is a temporary image, ` +
          "which QEMU drops when it ends. Start that QEMU without -snapshot and snapshot=on",
      );
    } else if (used.has(local)) {
      problems.push(`disk ${localName} of the destination is the copy of two disks of the source`);
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
    problems.push(...sharedProblems(disk, local, locals));
  }
  for (const choice of choices) {
    if (![...source, ...shared].some((d) => d.name === choice.name)) {
      problems.push(`--disk ${choice.name}: the source copies no such disk`);
    }
  }
  if (choices.length === 0) {
    for (const local of locals.filter(isMirrored)) {
      if (!used.has(local) && !source.some((d) => d.name === local.name)) {
        problems.push(`disk ${local.name} of the destination has no counterpart at the source`);
      }
    }
  }
  return { pairs, problems };
}

/** The destination's disk for a disk of the source: the one that `choices` map it to, else that of its name. */
export function localOf(
  disk: Pick<DiskDescription, "name">,
  locals: readonly Disk[],
  choices: readonly DiskChoice[],
): Disk | undefined {
  const name = choices.find((choice) => choice.name === disk.name)?.local ?? disk.name;
  return locals.find((local) => local.name === name);
}

function sharedProblems(disk: DiskDescription, local: Disk | undefined, locals: readonly Disk[]) {
  const { name } = disk;
  if (!local) {
    return [
      `shared disk ${name} is missing at the destination. Its disks: ${listOf(locals)}. ` +
      `To map it, name all disks with --disk there, this one with --disk ${name}=LOCAL`,
    ];
  }
  if (local.empty || local.readOnly) {
    return [`shared disk ${name} is ${local.empty ? "empty" : "read-only"} at the destination`];
  }
  const sizes = compareSizes(disk, local);
  return sizes ? [sizes] : [];
}

function compareSizes(disk: DiskDescription, local: Disk): string | undefined {
  if (local.sizeBytes === disk.sizeBytes) return undefined;
  const smaller = local.sizeBytes < disk.sizeBytes;
  const hint = smaller
    ? "Make the destination's larger"
    : `If its medium has a fixed size, set size=${disk.sizeBytes} on its raw node`;
  return `disk ${disk.name} has ${disk.sizeBytes} bytes at the source and ` +
    `${local.sizeBytes} bytes at the destination. ${hint}`;
}

/** A problem for each difference between the two virtual machines; empty where they match. */
export function compareGuests(source: GuestDescription, local: GuestDescription): string[] {
  const problems: string[] = [];
  const compare = (what: string, a: unknown, b: unknown, unit = "") => {
    if (a !== b) {
      problems.push(`the ${what} is ${a}${unit} at the source and ${b}${unit} at the destination`);
    }
  };
  compare("machine type", source.machine, local.machine);
  compare("number of vCPUs", source.vcpus, local.vcpus);
  compare("RAM size", source.ramBytes, local.ramBytes, " bytes");
  if (source.uuid !== null && local.uuid !== null) compare("UUID", source.uuid, local.uuid);
  return problems;
}

function listOf(disks: readonly Disk[]): string {
  return disks.length === 0 ? "none" : disks.map((d) => d.name).join(", ");
}
