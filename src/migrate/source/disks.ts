import { type Disk, listDisks, type QmpClient } from "../../qmp/mod.ts";
import { MigrationError, refusal } from "../errors.ts";
import { type Guest, sourceProblems } from "../guest/inspect.ts";
import type { Mirror } from "../disks/mirror_set.ts";
import type { DestinationPeer } from "./destination_peer.ts";
import type { SourceOptions } from "./options.ts";
import type { StorageAccess } from "../storage/access.ts";
import { compareStorage } from "../storage/compare.ts";
import type { TargetImage } from "../disks/target_images.ts";
import { divideShared, type Held, selectDisks } from "../disks/plan.ts";
import { copiedThoughShared, notCopied, staysBehind, unmovable } from "../disks/stays.ts";

/** A disk of the migration, as the source announces it to the destination. */
export interface ChosenDisk {
  readonly name: string;
  readonly device: string;
  readonly sizeBytes: number;
  readonly format: string;
}

/** The guest's disks, by what the migration does with them. */
export interface Chosen {
  /** Copied. */
  readonly disks: ChosenDisk[];
  /** On storage that both hosts share: not copied. */
  readonly shared: ChosenDisk[];
  /** Names of those among `shared` that only their devices' `share-rw` makes so. */
  readonly implied: readonly string[];
  /** Every disk of the guest. */
  readonly all: readonly Disk[];
  readonly warnings: string[];
}

/**
 * Chooses the disks to copy, and warns of everything that a copy leaves behind.
 *
 * @param names the disks to copy; none = every disk that can be mirrored.
 * @param more other problems of the source.
 * @throws {MigrationError} kind `refused`, naming everything that stands in the way.
 */
export async function chooseDisks(
  qmp: QmpClient,
  guest: Guest,
  names: readonly string[],
  held: Held,
  more: readonly string[] = [],
): Promise<Chosen> {
  const problems = [...await sourceProblems(qmp, guest), ...more];
  const all = await listDisks(qmp);
  const selection = selectDisks(all, names);
  const division = divideShared(all, selection.disks, held, names.length > 0);
  const { copied, shared, implied, problems: unknown } = division;
  problems.push(...selection.problems, ...unknown, ...unmovable(copied));
  if (problems.length > 0) throw refusal("source-not-fit", "source", problems);
  return {
    disks: copied.map(described),
    shared: shared.map(described),
    implied,
    all,
    warnings: [
      ...notCopied(shared.filter(({ name }) => implied.includes(name))).shared,
      ...staysBehind(copied),
      ...copiedThoughShared(copied),
    ],
  };
}

function described({ name, nodeName, sizeBytes, format }: Disk): ChosenDisk {
  return { name, device: nodeName, sizeBytes, format };
}

/** What a user chooses for the mirrors. */
export interface MirrorChoices {
  /** Names of the disks of which only the uppermost image is copied. */
  readonly topOnly?: ReadonlySet<string>;
  /** Names of the disks of which only what the destination lacks is sent. */
  readonly delta?: ReadonlySet<string>;
}

/**
 * Plans the mirrors that copy these disks to the destination's exports.
 *
 * @param choices of the user.
 * @throws {MigrationError} code `no-export`, when a disk has none.
 */
export function mirrorsOf(
  disks: readonly ChosenDisk[],
  exports: readonly { readonly disk: string; readonly exportName: string }[],
  images: readonly TargetImage[],
  { topOnly = new Set(), delta = new Set() }: MirrorChoices = {},
): Mirror[] {
  const id = crypto.randomUUID().slice(0, 8);
  return disks.map(({ name, device, sizeBytes }, i) => {
    const exportName = exports.find((e) => e.disk === name)?.exportName;
    if (exportName === undefined) {
      const message = `The destination exports no disk ${name}`;
      throw new MigrationError("failed", "no-export", "destination", message);
    }
    const jobId = `vmferry-${id}-${i}`;
    const noHoles = images.some(({ disk }) => disk === name);
    return {
      ...{ name, device, sizeBytes, exportName, jobId, targetNode: `${jobId}-target`, noHoles },
      ...{ topOnly: topOnly.has(name), delta: delta.has(name) },
    };
  });
}

export interface CompareOrRefuseOptions extends
  Pick<
    SourceOptions,
    "qmp" | "host" | "compareSocket" | "reuse" | "arrange" | "report" | "clock" | "log" | "signal"
  > {
  readonly peer: DestinationPeer;
  readonly chosen: Chosen;
}

/**
 * Makes sure that no disk of the destination is storage of the source, before anything is written there.
 *
 * @throws {MigrationError} kind `refused`, when one is, or may be.
 */
export async function compareOrRefuse(options: CompareOrRefuseOptions): Promise<void> {
  const { qmp, host, compareSocket: socketPath, clock, log, peer, chosen, reuse, report, signal } =
    options;
  const access: StorageAccess = { ...host, qmp, clock, log, socketPath };
  const { disks: copied, shared, implied, all: disks } = chosen;
  // What this migration has just created, or the user gave for reuse, is no storage of the source. Its data
  // can be alike all the same: empty images of one format, or the same image below.
  const alike = options.arrange ? copied.map(({ name }) => name) : [];
  const { problems, warnings } = await compareStorage({
    ...{ access, peer, disks, copied, shared, implied, reuse: [...reuse, ...alike], signal },
  });
  for (const message of warnings) report({ event: "warning", code: "storage", message });
  if (problems.length > 0) throw refusal("same-storage", "destination", problems);
}
